"""Types and declared shapes of a graph's tensors, read off its nodes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.framework import op_def_registry

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref

Shape = tuple[int | None, ...] | None

#: Graphs of TensorFlow before 1.2 write an unknown shape of a placeholder as that of a scalar.
_SCALARS_ARE_SCALARS = 24


def op_definition(graph: Graph, op: str) -> op_def_pb2.OpDef | None:
    """The definition of an operation or of one of the graph's functions; None if it is unknown."""
    known = op_def_registry.get(op)
    if known is not None:
        return known
    return next((f.signature for f in graph.library.function if f.signature.name == op), None)


def output_types(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """The `DataType` of each of its tensors; None when its operation is not known."""
    definition = op_definition(graph, node.op)
    if definition is None:
        return None
    types: list[int] = []
    for argument in definition.output_arg:
        types.extend(_types(argument, node, definition))
    return tuple(types)


def output_counts(graph: Graph, node: Node, definition: Any) -> list[tuple[str, int]]:
    """Name of each output of a node's definition, and how many tensors it is."""
    known = definition or op_definition(graph, node.op)
    return [(arg.name, len(_types(arg, node, known))) for arg in known.output_arg] if known else []


def _types(argument: Any, node: Node, definition: Any) -> list[int]:
    if argument.type_list_attr:
        value = node.attr.get(argument.type_list_attr)
        return list(value.list.type) if value is not None else []
    kind = argument.type or _attr(node, definition, argument.type_attr, "type", 0)
    count = _attr(node, definition, argument.number_attr, "i", 0) if argument.number_attr else 1
    return [kind] * count


def _attr(node: Node, definition: Any, name: str, field: str, default: int) -> int:
    value = node.attr.get(name)
    if value is None:
        value = next((a.default_value for a in definition.attr if a.name == name), None)
    return default if value is None else int(getattr(value, field))


def type_of(graph: Graph, tensor: Ref) -> int | None:
    """The `DataType` of a tensor, never that of a reference; None when it can't be told."""
    if tensor.node not in graph:
        return None
    types = output_types(graph, graph[tensor.node])
    if types is None or tensor.port >= len(types):
        return None
    kind = types[tensor.port]
    return kind - 100 if kind > 100 else kind


def dtype_name(kind: int | None) -> str:
    """The numpy name of a `DataType`, or "unknown"."""
    return tf.dtypes.as_dtype(kind).name if kind else "unknown"


def declared_shape(graph: Graph, tensor: Ref) -> Shape:
    """The shape that the file gives for a tensor; None when it gives none."""
    node = graph[tensor.node]
    listed = node.attr.get("_output_shapes") or node.attr.get("output_shapes")
    if listed is not None and tensor.port < len(listed.list.shape):
        found = shape_of_message(listed.list.shape[tensor.port])
        if found is not None:
            return found
    if node.op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
        return _placeholder_shape(graph, node)
    return None


def _placeholder_shape(graph: Graph, node: Node) -> Shape:
    value = node.attr.get("shape")
    shape = shape_of_message(value.shape) if value is not None else None
    if shape == () and graph.versions.producer < _SCALARS_ARE_SCALARS and node.op == "Placeholder":
        return None
    return shape


def shape_of_message(message: Any) -> Shape:
    """The shape of a `TensorShapeProto`; None for an unknown rank."""
    if message.unknown_rank:
        return None
    return tuple(None if d.size < 0 else int(d.size) for d in message.dim)


def message_of_shape(shape: Shape) -> Any:
    """The `TensorShapeProto` of a shape."""
    return tf.TensorShape(shape).as_proto()
