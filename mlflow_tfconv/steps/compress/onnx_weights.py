"""Where the weights of an ONNX model are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

#: Type of a node to the positions of its inputs that may be weights.
WEIGHT_INPUTS = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gather": (0,),
    "Gemm": (0, 1),
    "GRU": (1, 2),
    "LSTM": (1, 2),
    "MatMul": (0, 1),
    "RNN": (1, 2),
}

#: Types of nodes that exist only in quantized models.
_QUANTIZED = (
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantize",
    "MatMulBnb4",
    "MatMulInteger",
    "MatMulNBits",
    "QAttention",
    "QGemm",
    "QLinear",
    "QuantizeLinear",
)
_FLOATS = {"float16", "float32", "float64", "bfloat16"}


@dataclass(frozen=True, slots=True)
class Weight:
    """A float matrix or kernel that a node computes with.

    Attributes:
        tensor: The initializer, as it is in the model: writing to it changes the model.
        node: The first node that uses it.
    """

    tensor: onnx.TensorProto
    node: onnx.NodeProto

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The values, read-only."""
        array: np.ndarray[Any, Any] = numpy_helper.to_array(self.tensor)
        return array


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and the bodies of its loops and branches, however deep."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs_of(attribute.g)
            for inner in attribute.graphs:
                yield from graphs_of(inner)


def constants_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All tensors that are stored in a model, initializers and constants."""
    for graph in graphs_of(model.graph):
        yield from graph.initializer
        for node in graph.node:
            if node.op_type == "Constant":
                yield from (a.t for a in node.attribute if a.name == "value")


def weights_of(model: onnx.ModelProto) -> tuple[Weight, ...]:
    """The float weights of rank 2 and more, each once, in the order of the nodes."""
    stored = {t.name: t for graph in graphs_of(model.graph) for t in graph.initializer}
    found: dict[str, Weight] = {}
    for graph in graphs_of(model.graph):
        for node in graph.node:
            for name in _weight_names(node):
                if name in stored and _is_float_matrix(stored[name]):
                    found.setdefault(name, Weight(stored[name], node))
    return tuple(found.values())


def nodes_with_weights(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes of this graph, not of its loops, that compute with float weights."""
    stored = {t.name for t in graph.initializer if _is_float_matrix(t)}
    return {node.name for node in graph.node if stored.intersection(_weight_names(node))}


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether any node already works with integers that stand for floats."""
    return any(
        node.op_type.startswith(_QUANTIZED)
        for graph in graphs_of(model.graph)
        for node in graph.node
    )


def dtype_name(tensor: onnx.TensorProto) -> str:
    """The numpy name of a tensor's type."""
    return str(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name)


def _weight_names(node: onnx.NodeProto) -> list[str]:
    return [node.input[i] for i in WEIGHT_INPUTS.get(node.op_type, ()) if i < len(node.input)]


def _is_float_matrix(tensor: onnx.TensorProto) -> bool:
    return len(tensor.dims) >= 2 and dtype_name(tensor) in _FLOATS
