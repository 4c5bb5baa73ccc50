"""The part of a live model between chosen tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.runtimes.names import tidy_names


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
    given = _own(model) if outputs is None else outputs
    wanted = {name: _one(tensors, tensor) for name, tensor in given.items()}
    if inputs is None:
        return keras.Model(_inputs_of(model), wanted, name=model.name)
    taken = {name: _one(tensors, tensor) for name, tensor in inputs.items()}
    try:
        part = keras.Model(list(taken.values()), wanted, name=model.name)
    except ValueError as error:
        raise ConversionError(
            "The outputs that are wanted need more than the inputs that are wanted.",
            received=f"inputs={inputs}, outputs={outputs}: {' '.join(str(error).split())}"[:500],
            expected=f"inputs among {', '.join(t.name for t in model.inputs)}, or tensors between "
            "all of them and the outputs",
            fix="Name every input that the outputs need, or leave out `inputs`.",
        ) from error
    return _renamed(part, taken)


def _own(model: Any) -> dict[str, str]:
    """The model's own outputs by the names of their layers."""
    names = [tensor._keras_history.operation.name for tensor in model.outputs]
    unique = tidy_names(names)
    return {unique[n]: f"{name}:{names[:n].count(name)}" for n, name in enumerate(names)}


def _inputs_of(model: Any) -> Any:
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _renamed(part: Any, taken: Mapping[str, Any]) -> Any:
    """A model around the part, for Keras has names for inputs of their own alone."""
    inputs = {
        name: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
        for name, tensor in taken.items()
    }
    values = list(inputs.values())
    return keras.Model(inputs, part(values if len(values) > 1 else values[0]))


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
