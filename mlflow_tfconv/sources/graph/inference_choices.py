"""What was inferred of a graph, in words for its user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tensorflow as tf

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.sources.graph.data_sets import data_sets
from mlflow_tfconv.sources.graph.given_tensors import described
from mlflow_tfconv.sources.graph.graph_view import Graph, Ref
from mlflow_tfconv.sources.graph.inferred_inputs import cut_points
from mlflow_tfconv.sources.graph.op_kinds import PIPELINES
from mlflow_tfconv.sources.graph.tensor_types import type_of
from mlflow_tfconv.sources.graph.traced_shapes import traced_shapes
from mlflow_tfconv.sources.graph.training_flags import Flag

_MOST_OTHERS = 12
_KINDS = {
    "placeholder": "placeholder",
    "default": "placeholder with a default",
    "variable": "variable",
    "constant": "constant",
}


def flag_choices(flags: Iterable[Flag]) -> list[Choice]:
    """One choice for each scalar that was set to inference."""
    return [
        Choice(
            what=f"{flag.name} ({_KINDS[flag.kind]})",
            chosen=str(flag.value),
            alternatives=("an input", *map(str, flag.others)),
            argument="inputs",
            reason=flag.reason,
        )
        for flag in flags
    ]


def output_choice(names: Sequence[str], others: Sequence[Ref]) -> Choice:
    """That outputs were inferred."""
    return Choice(
        what="outputs",
        chosen=", ".join(names),
        alternatives=tuple(dict.fromkeys(str(item) for item in others[-_MOST_OTHERS:])),
        argument="outputs",
        reason="what inference computes and only losses, metrics or nothing take",
    )


def input_choice(
    graph: Graph, names: Sequence[str], inputs: Sequence[Ref], outputs: Sequence[Ref]
) -> Choice:
    """That inputs were inferred, and where else the graph could be cut."""
    shapes = traced_shapes(graph)
    texts = [item for item in inputs if type_of(graph, item) == tf.string.as_datatype_enum]
    data = data_sets(graph)
    others = [
        described(graph, point, shapes)
        for text in texts
        for point in cut_points(graph, data, text, outputs)
    ]
    piped = any(graph[item.node].op in PIPELINES for item in inputs)
    reason = "what the input pipeline gives to inference" if piped else "what the outputs need"
    return Choice(
        what="inputs",
        chosen=", ".join(names),
        alternatives=tuple(others),
        argument="inputs",
        reason=reason + (", decoded in the graph" if others else ""),
    )
