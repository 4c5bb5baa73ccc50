"""The part of a live model between chosen tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mlflow_tfconv.errors import ConfigError, ConversionError


def chosen_tensors(
    model: Any, inputs: Mapping[str, str] | None, outputs: Mapping[str, str] | None
) -> Any:
    """A model between the tensors that are wanted, which has the same weights.

    Args:
        model: A functional or Sequential model.
        inputs: New name to the name of a layer or tensor; None keeps the model's own inputs.
        outputs: The same of outputs.

    Raises:
        ConfigError: A name is not there, or the model is subclassed.
        ConversionError: The outputs need more than the inputs that are wanted.
    """
    if not getattr(model, "inputs", None):
        raise ConfigError(
            f"Inputs and outputs of the subclassed model {model.name!r} can't be chosen.",
            received=f"inputs={inputs}, outputs={outputs}",
            expected="a functional or Sequential model, whose tensors have names",
            fix="Leave out `inputs` and `outputs`.",
        )
    tensors = _tensors(model)
    taken = model.inputs if inputs is None else {n: _one(tensors, t) for n, t in inputs.items()}
    given = model.outputs if outputs is None else {n: _one(tensors, t) for n, t in outputs.items()}
    taken, given = _in_structure(taken, model, inputs is None), _in_structure(given, model, False)
    try:
        return keras.Model(taken, given, name=model.name)
    except ValueError as error:
        raise ConversionError(
            "The outputs that are wanted need more than the inputs that are wanted.",
            received=f"inputs={inputs}, outputs={outputs}: {' '.join(str(error).split())}"[:500],
            expected=f"inputs among {', '.join(t.name for t in model.inputs)}, or tensors between "
            "all of them and the outputs",
            fix="Name every input that the outputs need, or leave out `inputs`.",
        ) from error


def _in_structure(chosen: Any, model: Any, inputs: bool) -> Any:
    """The model's own inputs in its own structure; single tensors by themselves."""
    if inputs and not isinstance(model, keras.Sequential):
        return model.input
    if isinstance(chosen, list):
        return chosen[0] if len(chosen) == 1 else chosen
    return chosen


def _tensors(model: Any) -> dict[str, list[Any]]:
    """Layer name to the tensors that it gives in this model, call by call."""
    inner = model._functional if isinstance(model, keras.Sequential) else model
    nodes = {id(node) for level in inner._nodes_by_depth.values() for node in level}
    return {
        operation.name: [
            tensor
            for node in operation._inbound_nodes
            if id(node) in nodes
            for tensor in node.output_tensors
        ]
        for operation in inner.operations
    }


def _one(tensors: Mapping[str, list[Any]], wanted: str) -> Any:
    """The tensor of "layer", "layer:1" or "layer/Softmax:0".

    Raises:
        ConfigError: There is none.
    """
    name, _, number = wanted.partition(":")
    parts = name.split("/")
    candidates = ["_".join(parts), *("_".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))]
    found = next((tensors[one] for one in (name, *candidates) if one in tensors), None)
    place = int(number) if number.isdigit() else 0
    if found is None or place >= len(found):
        raise ConfigError(
            f"There is no tensor {wanted!r} in the model.",
            received=wanted,
            expected="the name of a layer: " + ", ".join(tensors)[:600],
            fix="Name a layer of the model; `tfconv inspect` lists them.",
        )
    return found[place]
