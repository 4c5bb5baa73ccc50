"""A graph of TensorFlow 1 without what only training, debugging or old versions need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref, type_attr
from mlflow_tfconv.sources.graph.op_kinds import OF_VALUES, PASSING

_ASKS_FOR_VALUE = frozenset({"IsVariableInitialized", "VarIsInitializedOp"})


def plain_graph(graph_def: Any) -> Graph:
    """The same computation with values in place of references.

    Checks and prints are taken away, and variables always have a value.
    """
    graph = Graph.of(graph_def)
    changes: dict[str, Node | None] = {}
    for node in graph:
        if node.op in PASSING:
            changes[node.name] = node.identity()
        elif node.op in OF_VALUES:
            changes[node.name] = replace(node, op=OF_VALUES[node.op])
        elif node.op in _ASKS_FOR_VALUE:
            changes[node.name] = constant(node.name, np.asarray(True))
    return graph.replaced(changes)


def constant(name: str, value: np.ndarray[Any, Any], controls: tuple[str, ...] = ()) -> Node:
    """A node that gives a value."""
    message = attr_value_pb2.AttrValue(tensor=tf.make_tensor_proto(value))
    kind = type_attr(message.tensor.dtype)
    return Node(name, "Const", (), controls, {"value": message, "dtype": kind})


def placeholder(name: str, dtype: int, shape: Any) -> Node:
    """A node that is fed.

    Args:
        name: Its name.
        dtype: A `DataType`.
        shape: A `TensorShapeProto`.
    """
    attributes = {"dtype": type_attr(dtype), "shape": attr_value_pb2.AttrValue(shape=shape)}
    return Node(name, "Placeholder", (), (), attributes)


def cut(graph: Graph, tensor: Ref, node: Node) -> Graph:
    """The graph with a new node in place of one of its tensors.

    Args:
        graph: The graph.
        tensor: What is cut off, with all that only it needs.
        node: What gives the value instead; its name is free.
    """
    return graph.redirected({tensor: Ref(node.name)}).replaced({node.name: node})
