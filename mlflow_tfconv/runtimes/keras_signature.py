"""The flat, named inputs and outputs of a Keras model, whatever structure it takes and gives."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.names import tidy_names


@dataclass(frozen=True, slots=True)
class KerasSignature:
    """How to call a Keras model with tensors by name.

    Attributes:
        model: The model.
        structure: What it takes: a tensor, or a list, tuple or dict of tensors; leaves are ignored.
        inputs: Its inputs in the order of the flattened structure; the batch dimension is None.
        outputs: Its outputs in the order of its flattened result.
    """

    model: Any
    structure: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def call(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Output name to tensor, computed for inference."""
        flat = [tensors[spec.name] for spec in self.inputs]
        result = self.model(keras.tree.pack_sequence_as(self.structure, flat), training=False)
        names = [spec.name for spec in self.outputs]
        return dict(zip(names, keras.tree.flatten(result), strict=True))


def keras_signature(model: Any) -> KerasSignature:
    """Looks at a built Keras model.

    A dict names its entries by their keys. Otherwise inputs and outputs have the names of their
    layers; a subclassed model has neither: its input is named as `call` names it, its outputs
    `output_0`, `output_1`, ...

    Raises:
        ConversionError: The model was never built, takes several arguments, or gives no tensor.
    """
    structure, result, names = _declared(model) or _observed(model)
    inputs, outputs = _named(structure, names[0]), _named(result, names[1])
    # An output that is called like an input gets another name: ONNX can't tell them apart.
    unique = tidy_names([*inputs, *outputs])
    return KerasSignature(
        model,
        structure,
        _specs(structure, unique[: len(inputs)]),
        _specs(result, unique[len(inputs) :]),
    )


def _declared(model: Any) -> tuple[Any, Any, tuple[list[str], list[str]]] | None:
    """Functional and Sequential models say what they take and give."""
    if not getattr(model, "inputs", None):
        return None
    if isinstance(model, keras.Sequential):
        structure, result = model.inputs[0], model.outputs[0]
    else:
        structure, result = model.input, model.output
    return structure, result, (_layer_names(structure), _layer_names(result))


def _layer_names(structure: Any) -> list[str]:
    # The tensor of an unnamed Input is called keras_tensor_<n>, by a counter that differs from run
    # to run; its layer is input_layer. Keras names outputs by this same attribute.
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(structure)]


def _observed(model: Any) -> tuple[Any, Any, tuple[list[str], list[str]]]:
    """A subclassed model remembers the shapes that it was built with."""
    arguments = _call_arguments(model)
    shapes = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if shapes is None or len(arguments) != 1:
        raise ConversionError(
            f"The inputs of the subclassed Keras model {model.name!r} can't be told.",
            received=f"call({', '.join(arguments)}), "
            + ("never built" if shapes is None else f"built with {shapes}"),
            expected="a model that was called on a batch before it was saved, whose `call` takes "
            "one argument (a tensor, or a list or dict of tensors)",
            fix="Call the model once on a batch and save it again; gather several inputs in a "
            "dict, or build it with keras.Model(inputs, outputs).",
        )
    structure = _tensors(shapes, getattr(model, "input_dtype", "float32"))
    result = model(structure, training=False) if _takes_training(model) else model(structure)
    count = len(keras.tree.flatten(structure))
    base = arguments[0]
    input_names = [base] if count == 1 else [f"{base}_{n}" for n in range(count)]
    return structure, result, (input_names, _numbered(result))


def _numbered(result: Any) -> list[str]:
    return [f"output_{n}" for n in range(len(keras.tree.flatten(result)))]


def _tensors(shapes: Any, dtype: str) -> Any:
    """The same structure with a symbolic tensor for each shape."""
    if isinstance(shapes, Mapping):
        return {key: _tensors(shape, dtype) for key, shape in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return keras.KerasTensor((None, *shapes[1:]), dtype=dtype)
    return [_tensors(shape, dtype) for shape in shapes]


def _call_arguments(model: Any) -> list[str]:
    """Names of the arguments of `call` that must be given."""
    return [
        name
        for name, parameter in inspect.signature(model.call).parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        and name != "training"
    ]


def _takes_training(model: Any) -> bool:
    return "training" in inspect.signature(model.call).parameters


def _named(structure: Any, names: list[str]) -> list[str]:
    """One name a leaf; a leaf inside a dict is named by its keys."""
    return [
        "_".join(map(str, path)) if any(isinstance(key, str) for key in path) else name
        for (path, _), name in zip(keras.tree.flatten_with_path(structure), names, strict=True)
    ]


def _specs(structure: Any, names: Sequence[str]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, dtype=_dtype(leaf), shape=(None, *leaf.shape[1:]))
        for leaf, name in zip(keras.tree.flatten(structure), names, strict=True)
    )


def _dtype(tensor: Any) -> str:
    return str(keras.backend.standardize_dtype(tensor.dtype))
