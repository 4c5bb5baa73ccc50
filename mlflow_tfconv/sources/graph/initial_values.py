"""Values of local variables: no Saver saves them, since every run initializes them alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mlflow_tfconv.sources.graph.averaging_updates import variable_of
from mlflow_tfconv.sources.graph.evaluated import evaluated, is_constant
from mlflow_tfconv.sources.graph.graph_source import GraphSource, StoredWeight
from mlflow_tfconv.sources.graph.graph_view import Graph, Node

_ASSIGNS = frozenset({"Assign", "AssignVariableOp"})


def with_initial_values(
    source: GraphSource, graph: Graph, variables: Iterable[str]
) -> tuple[GraphSource, tuple[str, ...]]:
    """The source, with the initial values of the variables that its Savers leave out.

    Args:
        source: The graph with its stored weights.
        graph: The whole graph.
        variables: The variables that inference reads.

    Returns:
        The source, and what a user should know.
    """
    if not any(node.op.startswith("Restore") for node in graph):
        return source, ()  # without a Saver, nothing tells local variables from missing ones
    found = {}
    for name in variables:
        conflict = source.conflicts.get(name)
        if name not in source.weights and conflict is not None and not conflict.saved:
            weight = _initial(source, graph, name)
            found.update({name: weight} if weight is not None else {})
    if not found:
        return source, ()
    warning = (
        "Variables that the checkpoint leaves out on purpose have their initial values: "
        f"{', '.join(found)}."
    )
    return replace(source, weights={**source.weights, **found}), (warning,)


def _initial(source: GraphSource, graph: Graph, name: str) -> StoredWeight | None:
    """The only constant that is assigned to a variable."""
    assigns = [
        node for node in graph if node.op in _ASSIGNS and variable_of(graph, node.inputs[0]) == name
    ]
    constants = [node for node in assigns if is_constant(graph, node.inputs[1])]
    if len(constants) != 1:
        return None
    value = _value(source, graph, constants[0])
    return StoredWeight(
        key=name, dtype=value.dtype.name, shape=value.shape, read=partial(np.asarray, value)
    )


def _value(source: GraphSource, graph: Graph, assign: Node) -> np.ndarray[Any, Any]:
    return evaluated(graph, [assign.inputs[1]], source)[0]
