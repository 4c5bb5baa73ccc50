"""Leaves out of a graph what changes variables that no output is computed from.

Keras' random layers advance their seeds in inference too, where nothing random is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlflow_tfconv.runtimes.graph_walk import GraphWalk, node_name

_CHANGES = ("Assign", "ResourceApply", "ResourceScatter", "ResourceStrided")


def changes_a_variable(node: Any) -> bool:
    """Whether the operation gives a variable another value."""
    return bool(node.op.startswith(_CHANGES))


def without_unseen_changes(graph_def: Any, outputs: Iterable[str]) -> Any:
    """The graph without changes of variables that the outputs do not read; changed in place.

    Args:
        graph_def: A `GraphDef` with calls put into it.
        outputs: Names of the tensors that are wanted.
    """
    walk = GraphWalk(graph_def)
    read = set(walk.order(outputs))
    unseen = {
        node.name
        for node in graph_def.node
        if changes_a_variable(node) and node.name not in read and _handle(walk, node) not in read
    }
    if not unseen:
        return graph_def
    kept = [node for node in graph_def.node if node.name not in unseen]
    for node in kept:
        tensors = [name for name in node.input if node_name(name) not in unseen]
        if len(tensors) < len(node.input):
            del node.input[:]
            node.input.extend(tensors)
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph_def.node[:]
    graph_def.node.extend(copies)
    return graph_def


def _handle(walk: GraphWalk, node: Any) -> str:
    """Where the changed variable comes from: the placeholder of its handle."""
    name = node_name(node.input[0])
    while name in walk.nodes and walk.nodes[name].op in ("Identity", "Enter", "RefEnter"):
        name = node_name(walk.nodes[name].input[0])
    return name
