"""The shapes of all values of an ONNX file for given inputs, found without its weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mlflow_tfconv.errors import ConfigError, ConversionError

_FEW_VALUES = 1024  # constants up to this size may say what shape something gets
_DATA_FIELDS = (
    "raw_data",
    "float_data",
    "int32_data",
    "int64_data",
    "double_data",
    "uint64_data",
    "string_data",
)
_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


def weightless_model(path: Path) -> Any:
    """The model without the values of its large weights, which keep their types and shapes.

    Raises:
        ConversionError: The file is no ONNX model.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own
        raise ConversionError(
            "This is not an ONNX file.", received=f"{path}: {error}", expected="an ONNX model"
        ) from error
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > _FEW_VALUES:
            _without_values(tensor)
        elif tensor.data_location == onnx.TensorProto.EXTERNAL:
            _with_values(tensor, path.parent)
    return model


def _without_values(tensor: Any) -> None:
    for name in _DATA_FIELDS:
        tensor.ClearField(name)
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.EXTERNAL  # as good as not there


def _with_values(tensor: Any, folder: Path) -> None:
    """Reads a small one that lies beside the model: it may be a shape."""
    with contextlib.suppress(OSError, ValueError, onnx.checker.ValidationError):
        onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def weights_bytes(model: Any) -> dict[str, int]:
    """Numpy dtype name to the bytes of the tensors of this type that are stored in the model."""
    found: dict[str, int] = {}
    for tensor in _tensors(model.graph):
        name = dtype_name(tensor.data_type)
        found[name] = found.get(name, 0) + (tensor_bytes(tensor.data_type, tensor.dims) or 0)
    return dict(sorted(found.items()))


def tensor_bytes(element_type: int, dims: Any) -> int | None:
    """The bytes of a tensor; None for text, whose size no type tells."""
    name = onnx.TensorProto.DataType.Name(element_type)
    if name in ("STRING", "UNDEFINED"):
        return None
    count = int(math.prod(dims))
    if name in _BITS:
        return -(-count * _BITS[str(name)] // 8)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(element_type))
    return int(count * dtype.itemsize)


def dtype_name(element_type: int) -> str:
    """Numpy's name of an ONNX type; ONNX's own in lower case where numpy has none."""
    name = onnx.TensorProto.DataType.Name(element_type)
    try:
        known = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(element_type)).name
    except (KeyError, TypeError):
        return str(name).lower()
    return str(name).lower() if name in _BITS else known


def inputs_of(model: Any) -> dict[str, Any]:
    """Name to type of the inputs that a caller gives."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return {value.name: value.type for value in model.graph.input if value.name not in stored}


def fixed_batch(model: Any) -> int | None:
    """The only batch size that the model takes; None when it takes any."""
    shapes = [kind.tensor_type.shape.dim for kind in inputs_of(model).values()]
    first = [dims[0] for dims in shapes if dims]
    if not first or any(not dim.HasField("dim_value") for dim in first):
        return None
    return int(first[0].dim_value) or None


def with_shapes(model: Any, batch_size: int, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """A copy whose inputs have fixed shapes, and which says nothing of its other values.

    Args:
        model: What `weightless_model` gives.
        batch_size: It takes the place of the first dimension of each input.
        shapes: Input to the shape of one example, where the model leaves it open.

    Raises:
        ConfigError: A dimension of an input besides the batch is open and nobody says what it is.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for name, kind in inputs_of(copy).items():
        _set_shape(name, kind.tensor_type.shape, batch_size, shapes.get(name))
    for value in copy.graph.output:  # what they say of themselves may be of another batch
        value.type.tensor_type.ClearField("shape")
    return copy


def _set_shape(name: str, shape: Any, batch_size: int, given: tuple[int, ...] | None) -> None:
    if not shape.dim:
        return
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in shape.dim]
    wanted = [batch_size if sizes[0] is None else sizes[0], *(given or sizes[1:])]
    if None in wanted or len(wanted) != len(sizes):
        raise ConfigError(
            f"The memory can't be told without the shape of the input {name!r}.",
            received=f"shape {sizes}, of one example {given}",
            expected="a size for every dimension",
            fix=f"Give `shapes={{{name!r}: (...)}}`: the shape of one example.",
        )
    for dim, size in zip(shape.dim, wanted, strict=True):
        dim.ClearField("dim_param")
        dim.dim_value = size


def value_sizes(graph: Any) -> dict[str, int | None]:
    """Value to its bytes; None where its shape or type is not known."""
    found: dict[str, int | None] = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        kind = value.type.tensor_type
        dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
        known = value.type.HasField("tensor_type") and kind.HasField("shape")
        open_size = not known or None in dims
        found[value.name] = None if open_size else tensor_bytes(kind.elem_type, dims)
    return found


def _tensors(graph: Any) -> Iterator[Any]:
    """The stored tensors of a graph and of the bodies of its loops and branches."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and node.op_type == "Constant":
                yield attribute.t
            for body in (attribute.g,) if attribute.HasField("g") else attribute.graphs:
                yield from _tensors(body)
