"""Values of tensors that depend on nothing that is fed, stored or drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.runtimes.graph_safety import refuse_unsafe_nodes
from mlflow_tfconv.sources.graph.graph_def_of_today import graph_def_of_today
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.op_kinds import (
    PIPELINES,
    PLACEHOLDERS,
    RANDOM,
    VARIABLES,
    is_effect,
)

_CHANGING = PLACEHOLDERS | PIPELINES | RANDOM | VARIABLES


def is_constant(graph: Graph, tensor: Ref) -> bool:
    """Whether a tensor has the same value whenever the graph is run."""
    before = graph.ancestors([tensor.node])
    return not any(graph[name].op in _CHANGING or is_effect(graph[name].op) for name in before)


def evaluated(
    graph: Graph, tensors: Sequence[Ref], source: GraphSource
) -> list[np.ndarray[Any, Any]]:
    """Values of constant tensors.

    Raises:
        ConversionError: Computing them would do more than compute.
    """
    needed = graph.part(graph.ancestors(tensor.node for tensor in tensors))
    alone = needed.replaced(
        {n.name: Node(n.name, n.op, n.inputs, (), n.attr) for n in needed if n.controls}
    )
    graph_def = graph_def_of_today(alone.message(), source.meta)
    refuse_unsafe_nodes(graph_def, where=source.path)
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=imported) as session:
            return [np.asarray(value) for value in session.run([str(item) for item in tensors])]
