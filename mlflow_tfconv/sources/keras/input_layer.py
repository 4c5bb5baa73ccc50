"""Inputs of a model: their names, shapes and types."""

from __future__ import annotations

from typing import Any

import keras

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.sources.keras.layer_config import Surroundings

_FLOATS = ("float16", "float32", "float64", "bfloat16")


def input_tensor(
    config: dict[str, Any],
    around: Surroundings,
    *,
    name: str,
    whole: bool,
    looked_up: bool = False,
) -> Any:
    """A symbolic input.

    Args:
        config: That of the InputLayer, or of the layer that says what it takes.
        around: What the layers of the model share.
        name: The input's name.
        whole: Whether it is an input of the whole model.
        looked_up: Whether only embeddings take it: its numbers are indices then.

    Raises:
        ConversionError: Its shape can't be told.
        ConfigError: The shape that was given is of another rank.
    """
    shape = input_shape(config)
    if whole and name in around.options.shapes:
        shape = _given(name, around.options.shapes[name], shape)
    if shape is None:
        raise ConversionError(
            f"The shape of the input {name!r} is not in the file.",
            received=f"{config}"[:300],
            expected="a batch_input_shape, or an InputLayer",
            fix=f'Say it: shapes={{"{name}": (None, ...)}}.',
        )
    dtype = _dtype(config)
    if whole and looked_up and dtype in _FLOATS:
        around.choices.append(_indices(name, dtype))
        dtype = "int32"
    if config.get("sparse") or config.get("ragged"):
        around.warnings.append(f"The input {name!r} is sparse or ragged; here it is dense.")
    return keras.Input(batch_shape=shape, dtype=dtype, name=name.replace("/", "_"))


def _given(
    name: str, given: tuple[int | None, ...], declared: tuple[int | None, ...] | None
) -> tuple[int | None, ...]:
    if declared is not None and len(given) != len(declared):
        raise ConfigError(
            f"The shape given for the input {name!r} is of another rank.",
            received=f"{given}",
            expected=f"{len(declared)} dimensions as in {declared}",
            fix="Give the whole shape, the batch included, with None for what varies.",
        )
    return tuple(given)


def input_shape(config: dict[str, Any]) -> tuple[int | None, ...] | None:
    """The whole shape, the batch included; None when the config has none."""
    for key in ("batch_input_shape", "batch_shape", "build_input_shape"):
        shape = config.get(key)
        while isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], list):
            shape = shape[0]
        if isinstance(shape, list | tuple):
            return (None, *shape[1:])
    if isinstance(config.get("input_shape"), list):
        return (None, *config["input_shape"])
    if isinstance(config.get("input_dim"), int) and "output_dim" not in config:
        return (None, config["input_dim"])
    return None


def _dtype(config: dict[str, Any]) -> str:
    said = config.get("input_dtype") or config.get("dtype")
    if isinstance(said, dict):  # a policy, of the layer that takes it
        said = (said.get("config") or {}).get("name")
    said = str(said or "float32")
    return {"mixed_float16": "float32", "mixed_bfloat16": "float32"}.get(said, said)


def _indices(name: str, declared: str) -> Choice:
    return Choice(
        what=f"type of the input {name!r}",
        chosen="int32",
        alternatives=(declared,),
        reason=f"the file declares {declared}, and only an Embedding takes it, whose indices are "
        "whole numbers",
    )
