"""Settings of the training by their dotted keys, such as `params.dropout`."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from mlflow_tfconv.errors import ConfigError

_NOT_TRIED = frozenset({"using", "trials"})


def check_key(config: type, key: str) -> None:
    """Makes sure that a dotted key names one value of a config.

    Args:
        config: The class of the config, such as TrainConfig.
        key: Such as "batch_size", "early_stopping.patience" or "params.dropout".

    Raises:
        ConfigError: There is no such key, or it names all of `params`.
    """
    kinds: list[Any] = [config]
    parts = key.split(".")
    for depth, part in enumerate(parts):
        sections = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
        if not sections:
            if dict not in kinds:
                raise _no_such_key(key, parts[:depth], ())
            return  # below a mapping every name is the user's
        hints = get_type_hints(sections[0])
        known = [name for name in hints if name not in _NOT_TRIED or depth]
        if part not in known:
            raise _no_such_key(key, parts[:depth], known)
        kinds = _kinds(hints[part])
    if parts == ["params"]:
        raise _no_such_key(key, parts, ["<name>"])


def _kinds(hint: Any) -> list[Any]:
    """The types that a hint allows, containers by their own type."""
    if get_origin(hint) in (types.UnionType, Union):
        return [kind for inner in get_args(hint) for kind in _kinds(inner)]
    return [get_origin(hint) or hint]


def _no_such_key(key: str, above: Sequence[str], known: Sequence[str]) -> ConfigError:
    paths = [".".join([*above, name]) for name in known]
    near = difflib.get_close_matches(key, paths, n=1)
    return ConfigError(
        f"train.trials.space names {key}, which is no key of train that can be tried.",
        received=key,
        expected=f"one of {', '.join(paths)}" if paths else f"{'.'.join(above)} without more",
        fix=f"Did you mean {near[0]!r}?" if near else "Arguments of model_fn are `params.<name>`.",
    )


def with_values(config: Any, values: Mapping[str, Any]) -> Any:
    """A config with other values at dotted keys.

    Args:
        config: A frozen dataclass, such as TrainConfig.
        values: Dotted key to its value.

    Raises:
        ConfigError: The config refuses a value.
    """
    for key, value in values.items():
        config = _with_value(config, key.split("."), value)
    return config


def _with_value(owner: Any, path: Sequence[str], value: Any) -> Any:
    name, rest = path[0], path[1:]
    if isinstance(owner, Mapping):
        inner = _with_value(owner.get(name, {}), rest, value) if rest else value
        return {**owner, name: inner}
    hint = get_type_hints(type(owner))[name]
    if not rest:
        return dataclasses.replace(owner, **{name: _as_kind(hint, value)})
    below = getattr(owner, name)
    if not (dataclasses.is_dataclass(below) or isinstance(below, Mapping)):
        # Nothing, or a short form such as `learning_rate: 0.1`.
        section: Any = next(k for k in _kinds(hint) if dataclasses.is_dataclass(k) or k is dict)
        below = section()
    return dataclasses.replace(owner, **{name: _with_value(below, rest, value)})


def _as_kind(hint: Any, value: Any) -> Any:
    """A value as it stands in a file, as the config keeps it: a section, a tuple, or as it is."""
    kinds = _kinds(hint)
    section: Any = next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)
    if isinstance(value, list):
        return tuple(value) if tuple in kinds else value
    if section is None or not isinstance(value, Mapping) or dict in kinds:
        return value
    hints = get_type_hints(section)
    try:
        return section(**{key: _as_kind(hints.get(key), inner) for key, inner in value.items()})
    except TypeError as error:
        raise ConfigError(
            "train.trials.space has a value that can't be tried.",
            received=dict(value),
            expected=f"a mapping with {', '.join(hints)}",
            fix="Change `trials` of the step train in recipe.yaml.",
        ) from error
