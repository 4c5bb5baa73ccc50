"""ONNX models in half precision: float16 throughout, or weights in bfloat16."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.save_onnx import is_large, save_onnx

HalfPrecision = Literal["float16", "bfloat16"]

#: What each precision of an ONNX file means, in words.
MEANINGS = {
    "float16": "weights and arithmetic in float16, inputs and outputs as they were",
    "bfloat16": "weights in bfloat16, arithmetic in float32: ONNX Runtime has no operations in "
    "bfloat16 for CPUs",
}
_LARGEST = float(np.finfo(np.float16).max)
#: Vectors stay as they are: they are few bytes, and scales and biases suffer most.
_LEAST_VALUES = 256


def half_onnx(path: Path, precision: HalfPrecision) -> None:
    """Rewrites an ONNX file in half precision.

    Raises:
        ConversionError: A weight is too large for float16.
    """
    model = onnx.load(str(path))
    if precision == "bfloat16":
        _to_bfloat16(model)
    else:
        _refuse_large_weights(model)
        model = float16_model(model)
    save_onnx(model, path)


def float16_model(model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """The model in float16, its inputs and outputs as they were.

    Args:
        model: It is changed.
        keep: Names of nodes that stay in float32.
    """
    # Shape inference takes no message of more than 2 GiB.
    large = is_large(model)
    half: onnx.ModelProto = convert_float_to_float16(
        model, keep_io_types=True, node_block_list=sorted(keep), disable_shape_infer=large
    )
    return half


def _to_bfloat16(model: onnx.ModelProto) -> None:
    """Stores matrices and kernels in bfloat16, each behind a Cast."""
    casts = []
    for tensor in model.graph.initializer:
        if not _is_large_float(tensor):
            continue
        name, stored = tensor.name, f"{tensor.name}_bfloat16"
        values = numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
        tensor.CopyFrom(numpy_helper.from_array(values, stored))
        casts.append(
            helper.make_node("Cast", [stored], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _is_large_float(tensor: onnx.TensorProto) -> bool:
    size = int(np.prod(tensor.dims, dtype=np.int64))
    return tensor.data_type == onnx.TensorProto.FLOAT and size >= _LEAST_VALUES


def _refuse_large_weights(model: onnx.ModelProto) -> None:
    for tensor in _floats(model.graph):
        largest = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0))
        if largest > _LARGEST:
            raise ConversionError(
                f"The weight {tensor.name} doesn't fit into float16.",
                received=f"a magnitude of {largest:g}",
                expected=f"at most {_LARGEST:g}",
                fix="Choose precision: bfloat16, which has the range of float32.",
            )


def _floats(graph: Any) -> Iterator[onnx.TensorProto]:
    return (t for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
