"""What a user may say about what goes before a model, read into one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.arguments import did_you_mean, in_short
from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConfigError

Array = np.ndarray[Any, Any]
_KEYS = ("scale", "offset", "mean", "std", "dtype", "shape", "function")
_FORM = (
    'a function of tensors, or {input: {"scale": 1/127.5, "offset": -1}}, {input: {"mean": [...], '
    '"std": [...]}} or {input: function}, each also with "dtype": "uint8"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is done to one input: `x * scale + offset`, or a function.

    Attributes:
        scale: A number, or one for each channel.
        offset: The same.
        function: Of the tensor, instead of both.
        dtype: Type of what is taken, or None for that of the model's input.
        shape: Shape of it, or None for that of the model's input.
    """

    scale: Array
    offset: Array
    function: Callable[[Any], Any] | None = None
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None


def preprocessing_steps(given: Any, inputs: tuple[TensorSpec, ...]) -> dict[str, Step]:
    """Input to what is done to it.

    Raises:
        ConfigError: It is not understood, or names an input that the model does not have.
    """
    names = [spec.name for spec in inputs]
    if callable(given) and len(names) == 1:
        given = {names[0]: given}
    if not isinstance(given, Mapping):
        raise _unfit(given)
    for name in given:
        if name not in names:
            raise ConfigError(
                f"`preprocessing` names {name!r}, which is no input of this model.",
                received=", ".join(map(str, given)),
                expected=", ".join(names),
                fix=did_you_mean(name, names),
            )
    return {name: _step(what) for name, what in given.items()}


def _step(given: Any) -> Step:
    if callable(given):
        given = {"function": given}
    if not isinstance(given, Mapping) or not given or not set(given) <= set(_KEYS):
        raise _unfit(given)
    shape = given.get("shape")
    scale, offset = _affine(given)
    return Step(
        scale=scale,
        offset=offset,
        function=given.get("function"),
        dtype=given.get("dtype"),
        shape=None if shape is None else tuple(shape),
    )


def _affine(given: Mapping[str, Any]) -> tuple[Array, Array]:
    """(x - mean) / std is x * scale + offset too; computed in float64."""
    try:
        parts = {name: np.asarray(given[name], np.float64) for name in _KEYS[:4] if name in given}
    except (TypeError, ValueError) as error:
        raise _unfit(given) from error
    mean, std = parts.get("mean", np.zeros(())), parts.get("std", np.ones(()))
    both = {"scale", "offset"} & set(parts) and {"mean", "std"} & set(parts)
    if both or not std.all() or ("function" in given and parts):
        raise _unfit(given)
    if {"mean", "std"} & set(parts):
        return 1 / std, -mean / std
    return parts.get("scale", np.ones(())), parts.get("offset", np.zeros(()))


def _unfit(given: Any) -> ConfigError:
    return ConfigError("`preprocessing` can't be used.", received=in_short(given), expected=_FORM)
