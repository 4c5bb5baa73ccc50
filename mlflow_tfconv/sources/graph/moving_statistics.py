"""Batch norm on the batch's own statistics, rewritten to the moving ones that training kept."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from tensorflow.core.framework import attr_value_pb2

from mlflow_tfconv.sources.graph.averaging_updates import (
    Average,
    averages,
    variable_of,
    variable_shape,
)
from mlflow_tfconv.sources.graph.data_sets import DataSets
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref, type_attr
from mlflow_tfconv.sources.graph.op_kinds import is_training_batch_norm
from mlflow_tfconv.sources.graph.plain_graph import constant
from mlflow_tfconv.sources.graph.tensor_types import Shape, type_of


@dataclass(frozen=True, slots=True)
class MovingStatistics:
    """What was rewritten.

    Attributes:
        graph: The graph.
        variables: Name of each variable that now stands for a statistic, to the tensor whose
            average it is.
    """

    graph: Graph
    variables: dict[str, Ref]


def with_moving_statistics(
    graph: Graph, outputs: Iterable[Ref], data: DataSets, shapes: dict[Ref, Shape]
) -> MovingStatistics:
    """Puts the average that training kept in place of each value that was averaged.

    Args:
        graph: The graph, with the part that updates the averages.
        outputs: The tensors of interest.
        data: What depends on examples.
        shapes: Shapes of tensors, as far as they are known.
    """
    needed = graph.ancestors(tensor.node for tensor in outputs)
    kept = {
        average.of[0]: average.variable
        for average in averages(graph, lambda tensor: _is_statistic(graph, tensor, needed, data))
        if len(average.of) == 1 and _fits(graph, average, shapes)
    }
    fused = {tensor.node for tensor in kept if is_training_batch_norm(*_kind(graph, tensor))}
    changes: dict[str, Node | None] = {}
    targets: dict[Ref, Ref] = {}
    used: dict[str, Ref] = {}
    for name in fused:
        pair = kept.get(Ref(name, 1)), kept.get(Ref(name, 2))
        if pair[0] and pair[1]:
            changes.update(_fused(graph, graph[name], pair[0], pair[1]))
            used.update({pair[0]: Ref(name, 1), pair[1]: Ref(name, 2)})
    for tensor, variable in kept.items():
        if tensor.node not in fused:
            changes.update(_read(graph, variable, tensor, shapes))
            targets[tensor] = Ref(_read_name(variable, tensor))
            used[variable] = tensor
    return MovingStatistics(graph.redirected(targets).replaced(changes), used)


def _kind(graph: Graph, tensor: Ref) -> tuple[str, object]:
    node = graph[tensor.node]
    return node.op, node.attr


def _is_statistic(graph: Graph, tensor: Ref, needed: set[str], data: DataSets) -> bool:
    if tensor.node not in needed or not data.has_data(tensor):
        return False
    node = graph[tensor.node]  # one that has moving statistics hands them on
    return not node.op.startswith("FusedBatchNorm") or is_training_batch_norm(node.op, node.attr)


def _fits(graph: Graph, average: Average, shapes: dict[Ref, Shape]) -> bool:
    """Whether variable and value have as many elements, as far as can be told."""
    kept, value = variable_shape(graph, average.variable), shapes.get(average.of[0])
    if kept is None or value is None or None in kept or None in value:
        return kept is None or value is None or len(kept) == len(value)
    return math.prod(size or 0 for size in kept) == math.prod(size or 0 for size in value)


def _fused(graph: Graph, node: Node, mean: str, variance: str) -> dict[str, Node | None]:
    names = (f"{node.name}/moving_mean", f"{node.name}/moving_variance")
    attributes = dict(node.attr)
    attributes["is_training"] = attr_value_pb2.AttrValue(b=False)
    inputs = (*node.inputs[:3], *map(Ref, names))
    reads = {
        name: _reading(graph, variable, name)
        for name, variable in zip(names, (mean, variance), strict=True)
    }
    return {**reads, node.name: replace(node, inputs=inputs, attr=attributes)}


def _read_name(variable: str, tensor: Ref) -> str:
    return f"{variable}/in_place_of/{tensor.node}_{tensor.port}"


def _read(
    graph: Graph, variable: str, tensor: Ref, shapes: dict[Ref, Shape]
) -> dict[str, Node | None]:
    """Reads a variable, in the shape of the value that it stands for."""
    name = _read_name(variable, tensor)
    shape, own = shapes.get(tensor), variable_shape(graph, variable)
    if shape is None or own is None or len(shape) == len(own):
        return {name: _reading(graph, variable, name)}
    whole, flat = f"{name}/shape", f"{name}/flat"
    sizes = np.asarray([-1 if size is None else size for size in shape], np.int32)
    kind = {"T": type_attr(type_of(graph, tensor) or 1), "Tshape": type_attr(3)}
    return {
        flat: _reading(graph, variable, flat),
        whole: constant(whole, sizes),
        name: Node(name, "Reshape", (Ref(flat), Ref(whole)), (), kind),
    }


def _reading(graph: Graph, variable: str, name: str) -> Node:
    owner = graph[variable]
    if owner.op == "VarHandleOp":
        return Node(name, "ReadVariableOp", (Ref(variable),), (), {"dtype": owner.attr["dtype"]})
    return Node(name, "Identity", (Ref(variable),), (), {"T": owner.attr["dtype"]})


def averaged_weights(graph: Graph) -> dict[str, str]:
    """Node of each variable to that of the variable that keeps its moving average."""
    found: dict[str, str] = {}
    for average in averages(graph, lambda _: False):
        if len(average.variables) == 1:
            found.setdefault(average.variables[0], average.variable)
    return found


__all__ = ["MovingStatistics", "averaged_weights", "variable_of", "with_moving_statistics"]
