"""Cells of recurrent layers that the file says nothing of: Keras 2.0 wrote their class alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.stored_layer import Shape

#: Numbers of gates, which have their weights side by side.
_GATES = {"SimpleRNNCell": 1, "GRUCell": 3, "LSTMCell": 4}


def with_sizes_of_cells(layer: LayerConfig) -> LayerConfig:
    """A layer of cells (RNN) that says of each how many units it has.

    What a silent cell computes with is then what its class has when it is told nothing else; a
    warning says so.

    Raises:
        ConversionError: The shapes of the stored weights don't tell either.
    """
    cells = list(_cells(layer.arguments["cell"]))
    silent = [cell for cell in cells if cell["class_name"] in _GATES and not _units(cell)]
    if not silent:
        return layer
    names = ", ".join(str(cell["class_name"]) for cell in silent)
    found = _found(cells, layer.around.stored.get(layer.name, ()))
    if found is None:
        raise layer.refused(
            f"the file does not say how many units its cells ({names}) have, as Keras 2.0 did not "
            "write it, and the shapes of its weights don't tell",
            "Write the architecture as a function with today's Keras, and give it as "
            "`architecture` beside the weights.",
        )
    layer.around.warnings.append(
        f"The file does not say how the cells of layer {layer.name!r} ({names}) were made, as "
        "Keras 2.0 did not write it. How many units they have is taken from their weights; their "
        "activations are taken to be Keras' default ones. If they were not, write the "
        "architecture as a function and give it as `architecture`."
    )
    return layer.with_arguments(cell=_filled(layer.arguments["cell"], iter(found)))


def _cells(cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A cell, or all of those that are stacked in it."""
    stacked = cell["config"].get("cells")
    if stacked is None:
        yield cell
    for inner in stacked or ():
        yield from _cells(inner)


def _units(cell: dict[str, Any]) -> int:
    return int(cell["config"].get("units") or 0)


def _found(cells: Sequence[dict[str, Any]], shapes: Sequence[Shape]) -> list[dict[str, Any]] | None:
    """What the weights say of each cell; None when they are not those of such cells.

    A cell has a kernel (inputs, gates * units), a recurrent kernel (units, gates * units), and may
    have a bias (gates * units,). Its outputs are the inputs of the next.
    """
    left, inputs, found = list(shapes), None, []
    for cell in cells:
        gates = _GATES.get(str(cell["class_name"]))
        if gates is None or len(left) < 2 or len(left[0]) != 2:
            return None
        kernel, recurrent = left[:2]
        units = kernel[1] // gates
        if recurrent != (units, gates * units) or kernel != (inputs or kernel[0], gates * units):
            return None
        if _units(cell) not in (0, units):
            return None
        biased = len(left) > 2 and left[2] == (gates * units,)
        found.append({"units": units, "use_bias": biased})
        left, inputs = left[3 if biased else 2 :], units
    return None if left else found


def _filled(cell: dict[str, Any], found: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """The same cells, with what was found beneath what they say themselves."""
    config = cell["config"]
    if "cells" in config:
        said = {**config, "cells": [_filled(inner, found) for inner in config["cells"]]}
    else:
        said = {**next(found), **config}
    return {**cell, "config": said}
