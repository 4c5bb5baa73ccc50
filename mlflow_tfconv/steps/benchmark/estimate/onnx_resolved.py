"""The graph that ONNX Runtime makes of a model, with the shapes of all values, without weights.

It fuses nodes, folds what is constant and adds casts before it runs a model. It is asked for the
result: the large weights, whose values it does not need for that, are given to it as inputs.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mlflow_tfconv.steps.benchmark.estimate.onnx_shapes import tensor_bytes, value_sizes

_BITS = {"int4": 4, "uint4": 4, "int2": 2, "uint2": 2, "float4e2m1": 4}
_BYTES = {"float": 4, "double": 8, "bfloat16": 2, "bool": 1}


@dataclass(frozen=True, slots=True)
class ResolvedGraph:
    """A graph as it will run.

    Attributes:
        graph: ONNX, in the order in which it runs.
        sizes: Value to its bytes; None where they are not known.
        weights: The values that stand for weights.
    """

    graph: Any
    sizes: dict[str, int | None]
    weights: frozenset[str]


def resolved(model: Any) -> ResolvedGraph:
    """What ONNX Runtime makes of a model whose inputs have fixed shapes.

    Where it refuses the model without its weights, the model's own graph with the shapes that onnx
    infers has to do.

    Args:
        model: What `with_shapes` of onnx_shapes gives.
    """
    try:
        return _by_onnxruntime(model)
    except Exception:  # noqa: BLE001 (ONNX Runtime's errors share no base; the other way remains)
        inferred = _inferred(model)
        return ResolvedGraph(inferred.graph, value_sizes(inferred.graph), frozenset())


def _by_onnxruntime(model: Any) -> ResolvedGraph:
    open_model, weights = _with_weights_as_inputs(model)
    ort = import_module("onnxruntime")
    with tempfile.TemporaryDirectory(prefix="tfconv-estimate-") as folder:
        file = Path(folder) / "model.onnx"
        _session(ort, open_model, "ORT_ENABLE_EXTENDED", file)
        run = onnx.load(str(file))
    given = {value.name for value in run.graph.output}
    inner = [name for node in run.graph.node for name in node.output if name and name not in given]
    asked = onnx.ModelProto()
    asked.CopyFrom(run)
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    told = _session(ort, asked, "ORT_DISABLE_ALL").get_outputs()
    sizes = {value.name: _size(value.type, value.shape) for value in told}
    for value in run.graph.input:
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        sizes[value.name] = tensor_bytes(value.type.tensor_type.elem_type, dims)
    return ResolvedGraph(_inferred(run).graph, sizes, weights)


def _with_weights_as_inputs(model: Any) -> tuple[Any, frozenset[str]]:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    large = [t for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    small = [t for t in graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL]
    del graph.initializer[:]
    graph.initializer.extend(small)
    known = {value.name for value in graph.input}
    for tensor in large:
        if tensor.name not in known:
            kind = onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
            graph.input.append(onnx.helper.make_value_info(tensor.name, kind))
    return copy, frozenset(tensor.name for tensor in large)


def _session(ort: Any, model: Any, level: str, file: Path | None = None) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.intra_op_num_threads = 1  # nothing is run: no pool of threads is needed
    if file is not None:
        options.optimized_model_filepath = str(file)
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _size(kind: str, shape: list[Any]) -> int | None:
    """The bytes of a value as ONNX Runtime describes it, such as "tensor(float)"."""
    found = re.fullmatch(r"tensor\((\w+)\)", kind)
    if found is None or found[1] == "string" or any(not isinstance(n, int) for n in shape):
        return None
    count, name = int(np.prod(shape, dtype=np.int64)), found[1]
    if name in _BITS:
        return -(-count * _BITS[name] // 8)
    if name in _BYTES or name.startswith("float8"):
        return count * _BYTES.get(name, 1)
    return count * np.dtype(name).itemsize


def _inferred(model: Any) -> Any:
    """The bodies of loops and branches get their shapes from onnx."""
    try:
        return onnx.shape_inference.infer_shapes(model, strict_mode=False, data_prop=True)
    except onnx.shape_inference.InferenceError:
        return model
