"""Shapes of a graph's tensors as TensorFlow infers them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.op_kinds import (
    PIPELINES,
    PLACEHOLDERS,
    VARIABLES,
    is_effect,
    is_gradient,
)
from mlflow_tfconv.sources.graph.plain_graph import placeholder
from mlflow_tfconv.sources.graph.tensor_types import (
    Shape,
    declared_shape,
    message_of_shape,
    op_definition,
    type_of,
)

#: Larger constants are data or weights: their values decide no shape.
_LARGE_BYTES = 16_384


def traced_shapes(graph: Graph) -> dict[Ref, Shape]:
    """The shapes of all tensors, None for an unknown rank; declared ones where TensorFlow refuses.

    Nothing is run.
    """
    try:
        return _inferred(light_graph(graph))
    except (ValueError, TypeError, KeyError, tf.errors.OpError, NotImplementedError):
        return {
            Ref(node.name, port): declared_shape(graph, Ref(node.name, port))
            for node in graph
            for port in range(_declared(node))
        }


def _declared(node: Node) -> int:
    value = node.attr.get("_output_shapes")
    return 1 if value is None else len(value.list.shape)


def _inferred(graph: Graph) -> dict[Ref, Shape]:
    shapes: dict[Ref, Shape] = {}
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(graph.message(), name="")
        for operation in imported.get_operations():
            for port, tensor in enumerate(operation.outputs):
                known = tensor.shape
                sizes = None if known.rank is None else tuple(known.as_list())
                shapes[Ref(operation.name, port)] = sizes
    return shapes


def light_graph(graph: Graph) -> Graph:
    """The same tensors without pipelines, large constants and functions that nobody calls.

    Control dependencies, effects, gradients and nodes of unknown operations are left out, with
    what needs these.
    """
    fixed = _without_data(graph)
    graph = graph.part(
        n.name
        for n in graph
        if not is_effect(n.op) and (n.name in fixed or not is_gradient(n.name))
    )
    changes: dict[str, Node | None] = {}
    targets: dict[Ref, Ref] = {}
    for node in graph:
        if node.op in PIPELINES:
            changes[node.name] = None
            for tensor in _taken(graph, node):
                name = graph.free_name(f"{node.name}/component_{tensor.port}")
                kind = type_of(graph, tensor) or 1
                shape = message_of_shape(declared_shape(graph, tensor))
                changes[name] = placeholder(name, kind, shape)
                targets[tensor] = Ref(name)
        elif node.op in PLACEHOLDERS:
            shape = message_of_shape(declared_shape(graph, Ref(node.name)))
            changes[node.name] = placeholder(node.name, type_of(graph, Ref(node.name)) or 1, shape)
        elif node.op == "Const" and _bytes(node.attr["value"].tensor) > _LARGE_BYTES:
            message = node.attr["value"].tensor
            changes[node.name] = placeholder(node.name, message.dtype, message.tensor_shape)
    light = graph.redirected(targets).replaced(changes)
    return _known(Graph(_uncontrolled(light), _called(light), light.versions))


def _without_data(graph: Graph) -> set[str]:
    """Nodes that depend on nothing that is fed or trained."""
    found: set[str] = set()
    for name in graph.order:
        node = graph[name]
        changing = node.op in PLACEHOLDERS | PIPELINES | VARIABLES or is_effect(node.op)
        if not changing and all(item.node in found for item in node.inputs):
            found.add(name)
    return found


def _taken(graph: Graph, node: Node) -> set[Ref]:
    names = graph.consumers[node.name]
    return {item for name in names for item in graph[name].inputs if item.node == node.name}


def _bytes(message: Any) -> int:
    count = 1
    for dim in message.tensor_shape.dim:
        count *= dim.size
    dtype = tf.dtypes.as_dtype(message.dtype)
    return count * (dtype.size if dtype != tf.string else 16)


def _uncontrolled(graph: Graph) -> dict[str, Node]:
    return {node.name: replace(node, controls=()) for node in graph}


def _called(graph: Graph) -> Any:
    """The functions that the nodes call, and those that these call."""
    library = type(graph.library)()
    by_name = {function.signature.name: function for function in graph.library.function}
    stack = [name for node in graph for name in _functions(node.op, node.attr, by_name)]
    done: set[str] = set()
    while stack:
        name = stack.pop()
        if name in done:
            continue
        done.add(name)
        library.function.add().CopyFrom(by_name[name])
        for inner in by_name[name].node_def:
            stack.extend(_functions(inner.op, dict(inner.attr.items()), by_name))
    for gradient in graph.library.gradient:
        if gradient.function_name in done and gradient.gradient_func in done:
            library.gradient.add().CopyFrom(gradient)
    return library


def _functions(op: str, attr: Any, by_name: Any) -> list[str]:
    called = [op] if op in by_name else []
    for value in attr.values():
        if value.HasField("func"):
            called.append(value.func.name)
        elif value.HasField("list"):
            called.extend(function.name for function in value.list.func)
    return [name for name in called if name in by_name]


def _known(graph: Graph) -> Graph:
    """Without unknown operations, and all that takes their results."""
    nodes = {n.name: n for n in graph if op_definition(graph, n.op) is not None}
    while True:
        kept = {
            name: node
            for name, node in nodes.items()
            if all(item.node in nodes for item in node.inputs)
        }
        if len(kept) == len(nodes):
            return Graph(kept, graph.library, graph.versions)
        nodes = kept
