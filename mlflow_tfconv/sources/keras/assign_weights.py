"""Gives a model its stored weights: finds whose they are, compares shapes, and only then reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.arrangements import arrangement
from mlflow_tfconv.sources.keras.not_finite import what_is_not_finite
from mlflow_tfconv.sources.keras.stored_layer import Array, StoredArray, StoredLayer
from mlflow_tfconv.sources.keras.translated import (
    Translated,
    WeightLayout,
    as_they_are,
    leaves,
)

_PIECE = 2**23  # values that are read at once: 32 MB of float32
_Plan = list[tuple[Translated, WeightLayout, Sequence[StoredArray]]]


def assign_weights(
    model: Translated, stored: Sequence[StoredLayer], path: Path, warnings: list[str]
) -> None:
    """Reads the weights into the variables of a model, one at a time.

    Layers are found by name when the file has all names of the model's layers with weights, else
    by their order, as Keras does it.

    Args:
        model: The model.
        stored: What the file has; nothing of it is read before all shapes were compared.
        path: The file, for messages.
        warnings: What the user should know is added here.

    Raises:
        ConversionError: Weights are missing, too many, or of other shapes.
    """
    assign_pairs(model, _pairs(model, stored, path, warnings), path, warnings)


def assign_pairs(
    model: Translated,
    pairs: Sequence[tuple[Translated, StoredLayer]],
    path: Path,
    warnings: list[str],
) -> None:
    """The same where it is known which weights are whose.

    Raises:
        ConversionError: Weights are of other number or shape.
    """
    plan: _Plan = []
    for layer, found in pairs:
        plan += arrangement(layer, found, path)
    for leaf, layout, arrays in plan:
        _assign(leaf, layout, arrays, warnings)
    for leaf in leaves(model):
        if leaf.finish is not None:
            leaf.finish()
    _freeze(model)


def _pairs(
    model: Translated, stored: Sequence[StoredLayer], path: Path, warnings: list[str]
) -> list[tuple[Translated, StoredLayer]]:
    wanted = [layer for layer in model.children if any(leaf.variables for leaf in leaves(layer))]
    there = [layer for layer in stored if layer.arrays]
    named = {layer.name: layer for layer in there}
    if all(layer.name in named for layer in wanted):
        unused = sorted(set(named) - {layer.name for layer in wanted})
        if unused:
            warnings.append(
                f"{path.name} holds weights of layers that the architecture does not have; they "
                f"were not used: {', '.join(unused)}."
            )
        return [(layer, named[layer.name]) for layer in wanted]
    if len(wanted) != len(there):
        raise _missing(wanted, there, path)
    return list(zip(wanted, there, strict=True))


def _missing(
    wanted: Sequence[Translated], there: Sequence[StoredLayer], path: Path
) -> ConversionError:
    named = {layer.name for layer in there}
    lost = [f"{layer.name} ({layer.class_name})" for layer in wanted if layer.name not in named]
    return ConversionError(
        f"The weights don't belong to the architecture: those of {', '.join(lost)} are missing.",
        received=f"{path} with weights of {', '.join(layer.name for layer in there) or 'no layer'}",
        expected=f"weights of {', '.join(layer.name for layer in wanted)}",
        fix="Name the weights that were saved from this very architecture.",
    )


def _assign(
    leaf: Translated, layout: WeightLayout, arrays: Sequence[StoredArray], warnings: list[str]
) -> None:
    if layout.values is as_they_are:
        for variable, array in zip(leaf.variables, arrays, strict=True):
            _fill(variable, leaf, array, warnings)
        return
    values = layout.values([_noted(leaf, array, array.read(), warnings) for array in arrays])
    for variable, value in zip(leaf.variables, values, strict=True):
        variable.assign(value)


def _fill(variable: Any, leaf: Translated, array: StoredArray, warnings: list[str]) -> None:
    """Large weights go into their variable piece by piece: they are in memory once."""
    if array.rows is None or math.prod(array.shape) <= _PIECE:
        variable.assign(_noted(leaf, array, array.read(), warnings))
        return
    count = max(1, _PIECE // math.prod(array.shape[1:]))
    for start in range(0, array.shape[0], count):
        rows = slice(start, min(start + count, array.shape[0]))
        values = _noted(leaf, array, array.rows(rows), warnings)
        variable.value[rows].assign(values.astype(variable.dtype, copy=False))


def _noted(leaf: Translated, array: StoredArray, values: Array, warnings: list[str]) -> Array:
    """The values; a warning is added when they are not finite."""
    words = what_is_not_finite(values)
    if words:
        warnings.append(
            f"Weight {array.name!r} of layer {leaf.name!r} ({leaf.class_name}) holds {words}."
        )
    return values


def _freeze(layer: Translated) -> None:
    for child in layer.children:
        _freeze(child)
    if not layer.trainable:
        layer.layer.trainable = False
