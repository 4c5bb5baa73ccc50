"""Scalars that switch a graph between training and inference, and their values for inference.

What a tensor is called (`is_training`, `phase`, `keep_prob`) is only a hint. It is a flag when
another value of it makes random numbers, batch statistics and updates vanish from the graph: so
each candidate is tried with the few values it can have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mlflow_tfconv.sources.graph.data_sets import DataSets, data_sets
from mlflow_tfconv.sources.graph.function_bodies import BRANCHES, with_bodies
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.known_values import (
    Array,
    Coin,
    Evaluation,
    Known,
    Noise,
    Uniform,
    known_values,
)
from mlflow_tfconv.sources.graph.op_kinds import (
    RANDOM,
    REF_VARIABLES,
    is_gradient,
    is_training_batch_norm,
    is_update,
)
from mlflow_tfconv.sources.graph.tensor_types import declared_shape, shape_of_message, type_of

_TRAINING = re.compile(r"train|learning_?phase|(^|[_/])phase", re.IGNORECASE)
_INFERENCE = re.compile(r"test|infer|eval|valid|predict|deploy", re.IGNORECASE)
_DECISIONS = {"Switch": 1, "If": 0, "StatelessIf": 0, "Case": 0, "Select": 0, "SelectV2": 0}
_RANDOM_VALUES = (Uniform, Coin, Noise)
_MOST_CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class Flag:
    """A scalar that decides between training and inference.

    Attributes:
        name: The node that is fed, read or constant.
        kind: "placeholder", "default" (a placeholder with one), "variable" or "constant".
        tensors: The tensors that have its value.
        value: What it is in inference.
        others: What else it could be.
        reason: Why, in words.
    """

    name: str
    kind: str
    tensors: tuple[Ref, ...]
    value: Array
    others: tuple[Array, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    kind: str
    tensors: tuple[Ref, ...]
    values: tuple[Array, ...]
    default: Array | None = None


def training_flags(graph: Graph, *, fixed: frozenset[str] = frozenset()) -> tuple[Flag, ...]:
    """The flags of a graph, each with its value for inference.

    Args:
        graph: A plain graph; only what is not a gradient is looked at.
        fixed: Names of nodes that are inputs because their user says so.
    """
    forward = graph.part(node.name for node in graph if not is_gradient(node.name))
    start = known_values(forward, {})
    candidates = [
        candidate
        for candidate in _candidates(forward)
        if candidate.name not in fixed and _decides(forward, candidate, start)
    ]
    data = data_sets(forward)
    flags = (_tried(forward, data, one) for one in candidates[:_MOST_CANDIDATES])
    return tuple(flag for flag in flags if flag is not None)


def _candidates(graph: Graph) -> Iterator[_Candidate]:
    for node in graph:
        kind = _kind(graph, node)
        if kind is None:
            continue
        tensors = _tensors(graph, node)
        if not tensors:
            continue
        values = _values(type_of(graph, tensors[0]) or 0)
        default = _default(graph, node) if kind in ("default", "constant") else None
        if kind == "constant":
            values = values if default is not None and default.dtype == bool else ()
        if values and not (kind == "default" and default is None):
            yield _Candidate(node.name, kind, tensors, values, default)


def _kind(graph: Graph, node: Node) -> str | None:
    if node.op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
        if declared_shape(graph, Ref(node.name)) not in ((), None):
            return None
        return "default" if node.op == "PlaceholderWithDefault" else "placeholder"
    if node.op in (*REF_VARIABLES, "VarHandleOp"):
        value = node.attr.get("shape")
        return "variable" if value is not None and shape_of_message(value.shape) == () else None
    return "constant" if node.op == "Const" else None


def _tensors(graph: Graph, node: Node) -> tuple[Ref, ...]:
    if node.op != "VarHandleOp":
        return (Ref(node.name),)
    readers = (graph[name] for name in graph.consumers[node.name])
    return tuple(Ref(reader.name) for reader in readers if reader.op == "ReadVariableOp")


def _values(dtype: int) -> tuple[Array, ...]:
    kind = tf.dtypes.as_dtype(dtype) if dtype else tf.string
    if kind == tf.bool:
        return (np.asarray(False), np.asarray(True))
    if kind.is_integer:
        several = (0, 1) if kind.size == 1 else (0, 1, 2)
        return tuple(np.asarray(value, kind.as_numpy_dtype) for value in several)
    if kind in (tf.float16, tf.float32, tf.float64):
        return tuple(np.asarray(value, kind.as_numpy_dtype) for value in (1.0, 0.0))
    return ()


def _default(graph: Graph, node: Node) -> Array | None:
    source = node
    while source.op in ("PlaceholderWithDefault", "Identity") and source.inputs:
        source = graph[source.inputs[0].node]
    if source.op != "Const" or source.attr["value"].tensor.tensor_shape.dim:
        return None
    dtype = tf.dtypes.as_dtype(source.attr["value"].tensor.dtype)
    return None if dtype == tf.string else np.asarray(tf.make_ndarray(source.attr["value"].tensor))


_FOLLOWED = frozenset(
    {
        *("Add", "AddV2", "Cast", "Enter", "Equal", "ExpandDims", "Fill", "FloorMod", "Greater"),
        *("GreaterEqual", "Identity", "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr"),
        *("Maximum", "Minimum", "Mul", "Neg", "NotEqual", "Pack", "Pow", "RealDiv", "Reciprocal"),
        *("Reshape", "Squeeze", "Sub", "All", "Any", "ToBool", "ReadVariableOp"),
    }
)


def _decides(graph: Graph, candidate: _Candidate, start: Evaluation) -> bool:
    """Whether its value can lead to a branch, or meets something random."""
    stack, seen = list(candidate.tensors), set(candidate.tensors)
    while stack:
        tensor = stack.pop()
        for name in graph.consumers.get(tensor.node, ()):
            node = graph[name]
            if node.op in _DECISIONS and node.inputs[_DECISIONS[node.op]] == tensor:
                return True
            if any(isinstance(start.values.get(item), Uniform) for item in node.inputs):
                return candidate.kind != "constant"
            following = Ref(name)
            if (node.op in _FOLLOWED or node.op in ("Switch", "Merge")) and following not in seen:
                seen.add(following)
                stack.append(following)
    return False


def _tried(graph: Graph, data: DataSets, candidate: _Candidate) -> Flag | None:
    costs = [_cost(graph, data, dict.fromkeys(candidate.tensors, v)) for v in candidate.values]
    least = min(costs)
    best = [v for v, cost in zip(candidate.values, costs, strict=True) if cost == least]
    if len(best) < len(candidate.values):
        value = _preferred(candidate, best)
        reason = "without it, what only training needs is left: random numbers, batch statistics"
        return _flag(candidate, value, reason)
    if candidate.kind == "constant":
        return None
    if candidate.values[0].dtype == bool:
        for pattern, answer in ((_INFERENCE, True), (_TRAINING, False)):
            if pattern.search(candidate.name):
                return _flag(candidate, np.asarray(answer), "as its name says")
    return None


def _cost(graph: Graph, data: DataSets, given: dict[Ref, Array]) -> int:
    evaluation = known_values(graph, given)
    while evaluation.branches:
        graph = with_bodies(graph, evaluation.branches)
        evaluation = known_values(graph, given)
        data = data_sets(graph)
    return training_left(graph, data, evaluation)


def _preferred(candidate: _Candidate, best: Sequence[Array]) -> Array:
    """The default if it will do, else the first; of a mode (0 trains, 1, 2) the last."""
    for value in best:
        if candidate.default is not None and value == candidate.default:
            return value
    is_mode = len(candidate.values) == 3 and best[0] != candidate.values[0]
    return best[-1] if is_mode else best[0]


def _flag(candidate: _Candidate, value: Array, reason: str) -> Flag | None:
    if candidate.kind == "constant" and value == candidate.default:
        return None
    others = tuple(other for other in candidate.values if other != value)
    return Flag(candidate.name, candidate.kind, candidate.tensors, value, others, reason)


def training_left(graph: Graph, data: DataSets, evaluation: Evaluation) -> int:
    """How many nodes compute what only training needs, given what is known."""
    count = 0
    for node in graph:
        if node.name in evaluation.dead_nodes:
            continue
        if is_training_batch_norm(node.op, node.attr) or is_update(node.op):
            count += 1
        elif node.op in BRANCHES:
            count += _in_branches(graph, node, evaluation.branches.get(node.name))
        elif node.op == "Merge" and node.name in evaluation.taken:
            count += _takes_batch_statistics(node, evaluation.taken[node.name], data)
        elif node.op in ("Select", "SelectV2", "Mul", "RealDiv", "Div"):
            count += _is_lost(node, evaluation) or _leaks(node, evaluation)
        else:
            count += _leaks(node, evaluation)
    return count


def _in_branches(graph: Graph, node: Node, taken: bool | None) -> int:
    """How many nodes of training the branches have that may be taken."""
    wanted = {True: ("then_branch",), False: ("else_branch",)}
    names = wanted.get(taken, ("then_branch", "else_branch")) if taken is not None else ()
    names = names or ("then_branch", "else_branch")
    called = {node.attr[name].func.name for name in names}
    count = 0
    for function in graph.library.function:
        if function.signature.name not in called:
            continue
        for inner in function.node_def:
            attributes = dict(inner.attr.items())
            random = inner.op in RANDOM
            count += random or is_update(inner.op) or is_training_batch_norm(inner.op, attributes)
    return count


def _leaks(node: Node, evaluation: Evaluation) -> bool:
    """Whether something random gets into values that are computed."""
    if evaluation.values.get(Ref(node.name)) is not None:
        return False
    return any(isinstance(evaluation.values.get(item), _RANDOM_VALUES) for item in node.inputs)


def _is_lost(node: Node, evaluation: Evaluation) -> bool:
    """Whether a mask takes everything away, or a scale is infinite."""
    inputs = [evaluation.values.get(item) for item in node.inputs]
    if node.op in ("RealDiv", "Div"):
        divisor = inputs[1]
        return isinstance(divisor, Known) and not np.any(divisor.value) and inputs[0] is None
    watched = inputs[:1] if node.op.startswith("Select") else inputs
    masks = [value for value in watched if isinstance(value, Known) and value.everywhere]
    return any(not np.any(mask.value) for mask in masks)


def _takes_batch_statistics(node: Node, taken: Ref, data: DataSets) -> bool:
    """Whether a branch that is computed from examples wins over one of weights alone."""
    others = [item for item in node.inputs if item != taken]
    return data.has_data(taken) and any(data.is_weight(item) for item in others)
