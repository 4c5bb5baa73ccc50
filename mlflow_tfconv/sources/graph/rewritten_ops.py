"""Operations of old TensorFlows that several of today's replace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import node_def_pb2, types_pb2


def _node(name: str, op: str, inputs: list[str], kind: int | None = None) -> Any:
    node = node_def_pb2.NodeDef(name=name, op=op, input=inputs)
    if kind is not None:
        node.attr["T"].type = kind
    return node


def _const(name: str, value: Any, dtype: Any) -> Any:
    node = node_def_pb2.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.dtypes.as_dtype(dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.asarray(value), dtype))
    return node


def _batch_norm(node: Any) -> list[Any]:
    """(t - mean) * rsqrt(variance + epsilon) [* gamma] + beta, as its documentation says."""
    kind, name = node.attr["T"].type, node.name
    t, mean, variance, beta, gamma, *controls = node.input
    epsilon = node.attr["variance_epsilon"].f
    made = [
        _const(f"{name}/epsilon", epsilon, tf.dtypes.as_dtype(kind)),
        _node(f"{name}/add", "AddV2", [variance, f"{name}/epsilon"], kind),
        _node(f"{name}/rsqrt", "Rsqrt", [f"{name}/add"], kind),
    ]
    factor = f"{name}/rsqrt"
    if node.attr["scale_after_normalization"].b:
        made.append(_node(f"{name}/scale", "Mul", [factor, gamma], kind))
        factor = f"{name}/scale"
    return [
        *made,
        _node(f"{name}/product", "Mul", [t, factor], kind),
        _node(f"{name}/shift", "Mul", [mean, factor], kind),
        _node(f"{name}/offset", "Sub", [beta, f"{name}/shift"], kind),
        _node(name, "AddV2", [f"{name}/product", f"{name}/offset", *controls], kind),
    ]


def _top_k(node: Any) -> list[Any]:
    """The number of values is an input now."""
    k = _const(f"{node.name}/k", node.attr["k"].i, tf.int32)
    values, *controls = node.input
    made = _node(node.name, "TopKV2", [values, k.name, *controls], node.attr["T"].type)
    made.attr["sorted"].b = node.attr["sorted"].b if "sorted" in node.attr else True
    return [k, made]


def _pack(node: Any) -> list[Any]:
    """Gathers all elements of a TensorArray."""
    name, (handle, flow, *controls) = node.name, node.input
    size = _node(f"{name}/size", "TensorArraySizeV3", [handle, flow])
    made = _node(name, "TensorArrayGatherV3", [handle, f"{name}/range", flow, *controls])
    for attribute in ("dtype", "element_shape"):
        if attribute in node.attr:
            made.attr[attribute].CopyFrom(node.attr[attribute])
    return [size, *_range(name, size.name), made]


def _unpack(node: Any) -> list[Any]:
    """Scatters a tensor's rows over a TensorArray."""
    name, (handle, value, flow, *controls) = node.name, node.input
    kind = node.attr["T"].type
    inputs = [handle, f"{name}/range", value, flow, *controls]
    return [
        _node(f"{name}/shape", "Shape", [value], kind),
        *_first(name, f"{name}/shape"),
        *_range(name, f"{name}/size"),
        _node(name, "TensorArrayScatterV3", inputs, kind),
    ]


def _first(name: str, shape: str) -> list[Any]:
    """The first entry of a shape."""
    made = _node(f"{name}/size", "GatherV2", [shape, f"{name}/index", f"{name}/axis"])
    made.attr["Tparams"].type = types_pb2.DT_INT32
    made.attr["Tindices"].type = made.attr["Taxis"].type = types_pb2.DT_INT32
    return [_const(f"{name}/index", 0, tf.int32), _const(f"{name}/axis", 0, tf.int32), made]


def _range(name: str, size: str) -> list[Any]:
    made = _node(f"{name}/range", "Range", [f"{name}/start", size, f"{name}/delta"])
    made.attr["Tidx"].type = types_pb2.DT_INT32
    return [_const(f"{name}/start", 0, tf.int32), _const(f"{name}/delta", 1, tf.int32), made]


#: Operation to the nodes that replace it; the last one has its name.
REWRITTEN: dict[str, Callable[[Any], list[Any]]] = {
    "BatchNormWithGlobalNormalization": _batch_norm,
    "TensorArrayPack": _pack,
    "TensorArrayUnpack": _unpack,
    "TopK": _top_k,
}
