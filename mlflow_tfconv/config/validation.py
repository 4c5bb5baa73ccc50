"""Plain values become config classes, or one clear message."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError, with_config
from pydantic.errors import PydanticUserError

from mlflow_tfconv.config.template import Location, dotted, suggestion
from mlflow_tfconv.errors import ConfigError

T = TypeVar("T")


def validate(kind: type[T], data: Any, at: Location, place: Callable[[Location], str]) -> T:
    """Makes a config of plain values.

    Args:
        kind: A config class.
        data: What stands in the file.
        at: Where it stands, as keys from the top.
        place: Gives "file, line n" of a location.

    Raises:
        ConfigError: With every mistake that was found: what, where, and what would be right.
    """
    for owner in _config_classes(kind):
        if not hasattr(owner, "__pydantic_config__"):
            # A class of the user's own need not know how to refuse unknown keys.
            with_config(extra="forbid")(owner)
    try:
        return TypeAdapter(kind).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        problems = list(_problems(kind, data, error))
        raise _config_error(problems, at, place) from error
    except (TypeError, PydanticUserError) as error:
        raise ConfigError(
            f"{place(at)}: {dotted(at)} can't be read.", received=str(error)
        ) from error


def _config_classes(kind: Any) -> Iterator[type]:
    """A config class and those below it."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for hint in get_type_hints(kind).values():
            yield from _config_classes(hint)
    for inner in get_args(kind):
        yield from _config_classes(inner)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    at: Location
    what: str
    received: str | None
    expected: str | None
    fix: str | None


def _config_error(
    problems: list[_Problem], at: Location, place: Callable[[Location], str]
) -> ConfigError:
    """The first problem in full, the others a line each."""
    first, *others = problems
    where = (*at, *first.at)
    more = [f"{place((*at, *p.at))}: {dotted((*at, *p.at))} {p.what}" for p in others]
    return ConfigError(
        "\n".join([f"{place(where)}: {dotted(where)} {first.what}", *more]),
        received=first.received,
        expected=first.expected,
        fix=first.fix,
    )


def _problems(kind: Any, data: Any, error: ValidationError) -> Iterator[_Problem]:
    """Pydantic's errors in our words; of a union's branches only the one that got furthest."""
    found: dict[Location, _Problem] = {}
    for item in error.errors(include_url=False):
        at = _location(item["loc"], data, item["type"])
        problem = _problem(kind, at, item)
        # What a config's own check says is about a value of the right type.
        checked = isinstance(item.get("ctx", {}).get("error"), ConfigError)
        better = at not in found or found[at].expected is None or checked
        if better:
            found[at] = problem
    deepest = [at for at in found if not any(o != at and o[: len(at)] == at for o in found)]
    # A misspelt key also leaves the right one missing: what is there to be mended comes first.
    for at in sorted(deepest, key=lambda at: found[at].received is None):
        yield found[at]


def _location(loc: tuple[str | int, ...], data: Any, kind: str) -> Location:
    """Pydantic's location without its names of union branches."""
    at: list[str | int] = []
    for part in loc:
        inside = _child(data, part)
        if inside is not None or (isinstance(data, dict) and part in data):
            data = inside
        elif kind != "missing" or part != loc[-1]:
            continue
        at.append(part)
    return tuple(at)


def _child(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


def _problem(kind: Any, at: Location, item: Any) -> _Problem:
    error, value = item["type"], item["input"]
    owner = next((k for k in _kinds_at(kind, at[:-1]) if dataclasses.is_dataclass(k)), None)
    keys = [f.name for f in dataclasses.fields(owner)] if owner else []
    if error in ("unexpected_keyword_argument", "extra_forbidden"):
        name = str(at[-1])
        return _Problem(
            at=at,
            what="is not a key that is known here.",
            received=name,
            expected=f"one of {', '.join(keys)}",
            fix=suggestion(name, keys) or "Remove it.",
        )
    if error in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return _Problem(
            at=at, what="is missing.", received=None, expected=_meaning(owner, at), fix="Add it."
        )
    if isinstance(raised := item.get("ctx", {}).get("error"), ValueError):
        return _from_raised(at, raised)
    choices = sorted({str(c) for k in _kinds_at(kind, at) for c in _choices(k)})
    return _Problem(
        at=at,
        what="has a value that can't be used.",
        received=json.dumps(value, default=str),
        expected=_one_of(choices, _kinds_at(kind, at)) if choices else _expected(item["msg"]),
        fix=_about_quotes(error, value)
        or (suggestion(value, choices) if choices and isinstance(value, str) else None),
    )


def _one_of(choices: list[str], kinds: list[Any]) -> str:
    """The words that may stand there, and what else may."""
    others = [type_name(kind) for kind in kinds if not _choices(kind) and kind is not type(None)]
    return " or ".join([f"one of {', '.join(choices)}", *dict.fromkeys(others)])


def _expected(message: str) -> str:
    """What pydantic expects, in the words of YAML."""
    text = message.removeprefix("Input should be ")
    return {"a valid array": "a list", "an object": "a mapping of keys and values"}.get(text, text)


def _about_quotes(error: str, value: Any) -> str | None:
    """YAML takes `no` for false and `5` for a number, and a number in quotes for text."""
    if error == "string_type" and isinstance(value, bool | int | float):
        return "Put it in quotes, as it stands in the file."
    number = isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdigit()
    return "Leave the quotes out." if number and error in ("int_type", "float_type") else None


def _from_raised(at: Location, error: ValueError) -> _Problem:
    """What a config's own check says."""
    if not isinstance(error, ConfigError):
        return _Problem(at=at, what=f"is wrong: {error}", received=None, expected=None, fix=None)
    return _Problem(
        at=at,
        what=f"is wrong: {error.what}",
        received=error.received,
        expected=error.expected,
        fix=error.fix,
    )


def _meaning(owner: Any, at: Location) -> str | None:
    if owner is None:
        return None
    hint = get_type_hints(owner).get(str(at[-1]))
    return None if hint is None else type_name(hint)


def _kinds_at(kind: Any, at: Location) -> list[Any]:
    """The types that may stand at a location, with unions taken apart."""
    kinds = _alternatives(kind)
    for part in at:
        kinds = [inner for k in kinds for inner in _inside(k, part)]
    return kinds


def _alternatives(kind: Any) -> list[Any]:
    if get_origin(kind) in (types.UnionType, Union):
        return [inner for k in get_args(kind) for inner in _alternatives(k)]
    return [kind]


def _inside(kind: Any, part: str | int) -> list[Any]:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hint = get_type_hints(kind).get(str(part))
        return [] if hint is None else _alternatives(hint)
    if get_origin(kind) is dict:
        return _alternatives(get_args(kind)[1])
    if isinstance(part, int) and get_args(kind):
        return _alternatives(get_args(kind)[0])
    return []


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def type_name(kind: Any) -> str:
    """A type in the words of someone who writes YAML."""
    choices = [json.dumps(c) for k in _alternatives(kind) for c in _choices(k)]
    plain = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "null",
    }
    names = []
    for k in _alternatives(kind):
        if _choices(k):
            continue
        if get_origin(k) is tuple:
            names.append(f"a list of {type_name(get_args(k)[0])}")
        elif get_origin(k) is not None or k is dict or dataclasses.is_dataclass(k):
            names.append("a mapping")
        else:
            names.append(plain.get(k, "any value"))
    return ", ".join([*choices, *dict.fromkeys(names)])
