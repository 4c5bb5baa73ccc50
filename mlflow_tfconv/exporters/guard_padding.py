"""Keeps ONNX Runtime from taking zeros around a MaxPool for the padding of MaxPool itself.

Its optimizer (PadFusion, up to 1.31 at least) merges a Pad with zeros into the MaxPool that follows.
But MaxPool pads with minus infinity: where all values of a window at the border are negative, zero
would have been the largest. So in ResNet50V2, whose padding comes before any activation. A padding
that is not exactly zero is left alone, so it becomes the smallest number that float16 has: it stays
one when the model is made smaller later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

#: Operations that give no negative numbers: zeros around their results do no harm.
_NEVER_NEGATIVE = frozenset({"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus"})
_MOVES = frozenset({"Identity", "Transpose"})
_TINY = float(np.finfo(np.float16).smallest_subnormal)
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16})


def guard_padding(model: Any) -> Any:
    """The model with paddings before MaxPool that ONNX Runtime leaves alone; changed in place.

    Args:
        model: An `onnx.ModelProto`.
    """
    for graph in _graphs(model.graph):
        _guard(graph)
    return model


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _guard(graph: Any) -> None:
    producers = {name: node for node in graph.node for name in node.output}
    consumers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    known = {tensor.name: tensor for tensor in graph.initializer}
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input)}
    for node in [node for node in graph.node if node.op_type == "Pad"]:
        value = known.get(node.input[2]) if len(node.input) > 2 else None
        dtype = value.data_type if value else types.get(node.input[0], TensorProto.FLOAT)
        if (
            dtype in _FLOATS
            and (value is None or not numpy_helper.to_array(value).any())
            and _is_pooled(node, consumers)
            and not _is_never_negative(node.input[0], producers)
        ):
            _set_value(graph, node, dtype)


def _is_pooled(node: Any, consumers: dict[str, list[Any]]) -> bool:
    following = consumers.get(node.output[0], [])
    return any(
        one.op_type == "MaxPool" or (one.op_type in _MOVES and _is_pooled(one, consumers))
        for one in following
    )


def _is_never_negative(name: str, producers: dict[str, Any]) -> bool:
    while name in producers and producers[name].op_type in _MOVES:
        name = producers[name].input[0]
    return name in producers and producers[name].op_type in _NEVER_NEGATIVE


def _set_value(graph: Any, node: Any, dtype: int) -> None:
    name = f"{node.name or node.output[0]}_padding"
    tiny = np.array(_TINY, helper.tensor_dtype_to_np_dtype(dtype))
    graph.initializer.append(numpy_helper.from_array(tiny, name))
    del node.input[2:3]
    if len(node.input) == 2:
        node.input.append(name)
    else:
        node.input.insert(2, name)
