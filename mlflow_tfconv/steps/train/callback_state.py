"""What training has changed in callbacks, and in the generators that a user's code may draw from."""

from __future__ import annotations

import pickle
import random
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

_NOT_STATE = frozenset({"_model", "model", "params"})

#: Of Python's and numpy's global generators.
RandomStates = tuple[Any, Any]


def random_states() -> RandomStates:
    """The states of Python's and numpy's global generators, which a user's code may draw from."""
    return random.getstate(), np.random.get_state()


def restore_random_states(states: RandomStates) -> None:
    """The inverse of `random_states`."""
    random.setstate(states[0])
    np.random.set_state(states[1])


def plain_attributes(callback: Any) -> dict[str, bytes]:
    """The attributes of a callback that are plain values, arrays or named functions, pickled.

    Counters, best values and weights kept aside are such; models, files and writers are not.
    """
    found = {}
    for name, value in vars(callback).items():
        if name in _NOT_STATE or not _is_plain(value):
            continue
        try:
            found[name] = pickle.dumps(value)
        except (pickle.PicklingError, AttributeError):  # a lambda, or a function in a function
            continue
    return found


def changed_attributes(
    callbacks: Sequence[Any], before: Sequence[Mapping[str, bytes]]
) -> tuple[tuple[str, Mapping[str, bytes]], ...]:
    """One a callback: its class, and the plain attributes that differ from `before`."""
    return tuple(
        (
            _class_name(callback),
            {k: v for k, v in plain_attributes(callback).items() if old.get(k) != v},
        )
        for callback, old in zip(callbacks, before, strict=True)
    )


def restore_attributes(
    callbacks: Iterable[Any], saved: Iterable[tuple[str, Mapping[str, bytes]]]
) -> None:
    """The inverse of `changed_attributes`; a callback of another class is left as it is."""
    for callback, (kind, attributes) in zip(callbacks, saved, strict=False):
        if _class_name(callback) != kind:
            continue
        for name, value in attributes.items():
            # Written by this step into its own folder.
            setattr(callback, name, pickle.loads(value))  # noqa: S301


def _class_name(callback: Any) -> str:
    return f"{type(callback).__module__}.{type(callback).__qualname__}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return all(_is_plain(item) for item in value)
    kinds = (int, float, complex, str, bytes, np.ndarray, np.generic, types.FunctionType)
    return value is None or isinstance(value, kinds)
