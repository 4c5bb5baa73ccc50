"""What callers hand to the Python functions, checked and made into what the rooms take."""

from __future__ import annotations

import dataclasses
import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mlflow_tfconv.errors import ConfigError

T = TypeVar("T")
_MISFIT = object()
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}
_LONGEST = 200


def path_of(value: Any, what: str) -> Path:
    """The path.

    Raises:
        ConfigError: It is something else, or empty.
    """
    if isinstance(value, str | os.PathLike) and os.fspath(value):
        return Path(os.fspath(value))
    raise ConfigError(f"{what} is not a path.", received=in_short(value), expected="a path")


def made_folder(path: Path) -> Path:
    """The folder, which is made when it is not there.

    Raises:
        ConfigError: It can't be made or written to: something else is there, or it is not allowed.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise ConfigError(
            "The folder for the output can't be used.",
            received=f"{path}: {error.strerror}",
            expected="a folder, or a name that is still free, where you may write",
            fix="Name another folder.",
        ) from error


def settings(kind: type[T], given: Mapping[str, Any], at: str = "") -> T:
    """The config made of plain values, with mappings for the configs in it.

    A single value stands for a sequence of one.

    Args:
        kind: A config: a dataclass of plain types.
        given: Its values by name.
        at: Where the mapping was given, such as "prune"; "" for arguments of their own.

    Raises:
        ConfigError: A key is not known or missing, or a value has another type.
    """
    wanted = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            raise _unknown(str(name), fields, at)
    missing = [name for name in _mandatory(kind) if name not in given]
    if missing:
        raise ConfigError(
            f"`{at}` lacks the setting {missing[0]!r}.",
            received=in_short(dict(given)),
            expected=", ".join(fields),
        )
    path = f"{at}." if at else ""
    return kind(**{n: _fitted(value, wanted[n], path + n) for n, value in given.items()})


def several(value: Any, key: str) -> tuple[str, ...]:
    """Names given as a sequence, or one alone.

    Raises:
        ConfigError: They are no texts.
    """
    fitted: tuple[str, ...] = _fitted(value, tuple[str, ...], key)
    return fitted


def require_numbers(least: float, *, whole: bool = False, **numbers: Any) -> None:
    """Raises unless all are numbers that are large enough.

    Raises:
        ConfigError: One is not.
    """
    for name, value in numbers.items():
        if not isinstance(value, Integral if whole else Real) or not float(value) >= least:
            raise ConfigError(
                f"`{name}` can't be used.",
                received=in_short(value),
                expected=f"a {'whole ' if whole else ''}number, {least:g} or more",
            )


def did_you_mean(word: Any, words: Iterable[Any]) -> str | None:
    """A question when a word is nearly one of those that are known."""
    known = [text for text in words if isinstance(text, str)]
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else None


def in_short(value: Any) -> str:
    """What a value is, in one line."""
    kind = type(value)
    if isinstance(value, str | int | float | list | tuple | dict | set | NoneType):
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    shape = getattr(value, "shape", None)
    return f"{kind.__module__}.{kind.__qualname__}" + (f" of shape {shape}" if shape else "")


def _unknown(name: str, fields: Mapping[str, Any], at: str) -> ConfigError:
    return ConfigError(
        f"`{at}` has no setting {name!r}." if at else f"There is no argument {name!r}.",
        received=name,
        expected=f"one of {', '.join(fields)}",
        fix=did_you_mean(name, fields),
    )


def _mandatory(kind: Any) -> list[str]:
    none = dataclasses.MISSING
    fields = dataclasses.fields(kind)
    return [f.name for f in fields if f.default is none and f.default_factory is none]


def _fitted(value: Any, wanted: Any, key: str) -> Any:
    fitted = _as(wanted, value, key)
    if fitted is not _MISFIT:
        return fitted
    raise ConfigError(
        f"`{key}` can't be used.",
        received=in_short(value),
        expected=_in_words(wanted),
        fix=_advice(value, wanted, key),
    )


def _as(wanted: Any, value: Any, key: str) -> Any:
    """The value in the form that an annotation asks for, or `_MISFIT`."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        forms = (_as(one, value, key) for one in inner)
        return next((form for form in forms if form is not _MISFIT), _MISFIT)
    if wanted is Any:
        return value
    if origin is dict and isinstance(value, Mapping):
        return {name: _fitted(one, inner[1], f"{key}.{name}") for name, one in value.items()}
    if origin is tuple:
        return _as_tuple(inner[0], value, key)
    if origin is Literal:
        return value if isinstance(value, str | int | NoneType) and value in inner else _MISFIT
    if dataclasses.is_dataclass(wanted) and isinstance(value, Mapping):
        return settings(wanted, value, key)  # type: ignore[arg-type]
    if wanted in (int, float):
        number = Integral if wanted is int else Real
        fits = isinstance(value, number) and not isinstance(value, bool)
        return wanted(value) if fits else _MISFIT
    return value if isinstance(value, origin or wanted) else _MISFIT


def _as_tuple(wanted: Any, value: Any, key: str) -> Any:
    alone = isinstance(value, str | Mapping) or not isinstance(value, Iterable)
    items = [_as(wanted, item, key) for item in ([value] if alone else value)]
    return _MISFIT if any(item is _MISFIT for item in items) else tuple(items)


def _in_words(wanted: Any) -> str:
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        return " or ".join(_in_words(one) for one in inner)
    if origin is tuple:
        return f"one or several of: {_in_words(inner[0])}"
    if origin is Literal:
        return ", ".join(repr(one) for one in inner)
    if dataclasses.is_dataclass(wanted):
        return f"{{{', '.join(field.name for field in dataclasses.fields(wanted))}}}"
    return "None" if wanted is NoneType else _WORDS.get(wanted, str(wanted))


def _advice(value: Any, wanted: Any, key: str) -> str | None:
    """A choice that is nearly what was given, or the mapping that a bare number stands for."""
    if isinstance(value, Real):
        return next((f"Write {key}={{{n!r}: {value}}}." for n in _taking(value, wanted)), None)
    words = value if isinstance(value, list | tuple | set) else [value]
    choices = list(_choices(wanted))
    return next(filter(None, (did_you_mean(w, choices) for w in words if w not in choices)), None)


def _taking(value: Any, wanted: Any) -> Iterable[str]:
    """Settings that a value without a name can only stand for."""
    for kind in filter(dataclasses.is_dataclass, get_args(wanted)):
        names = _mandatory(kind)
        if len(names) == 1 and _as(get_type_hints(kind)[names[0]], value, "") is not _MISFIT:
            yield names[0]


def _choices(wanted: Any) -> Iterable[Any]:
    if get_origin(wanted) is Literal:
        return get_args(wanted)
    return [choice for one in get_args(wanted) for choice in _choices(one)]
