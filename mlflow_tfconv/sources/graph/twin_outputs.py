"""One of several outputs that the same weights compute: for training, validation and testing."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow_tfconv.sources.graph.graph_view import Graph, Ref
from mlflow_tfconv.sources.graph.node_names import evaluation_rank, leaf
from mlflow_tfconv.sources.graph.op_kinds import RANDOM, VARIABLES, is_training_batch_norm


def without_twins(
    graph: Graph, outputs: Sequence[Ref], dropped: Sequence[str]
) -> tuple[tuple[Ref, ...], tuple[Ref, ...]]:
    """The outputs to keep, and those that others stand for.

    Dropout and batch statistics mark what was built for training: it goes when others read the same
    weights. Of equal computations under names that speak of training, validation, testing or
    towers, the one nearest to inference stays.

    Args:
        graph: The graph.
        outputs: The candidates.
        dropped: Nodes at which dropout was taken away.
    """
    weights = {item: _variables(graph, item) for item in outputs}
    training = {item for item in outputs if _is_training(graph, item, dropped)}
    clean: frozenset[str] = frozenset().union(*(weights[o] for o in outputs if o not in training))
    kept = [item for item in outputs if item not in training or not _trained(weights[item], clean)]
    kept = _best_of_equals(graph, kept, weights)
    return tuple(kept), tuple(item for item in outputs if item not in kept)


def _variables(graph: Graph, output: Ref) -> frozenset[str]:
    before = graph.ancestors([output.node])
    return frozenset(name for name in before if graph[name].op in VARIABLES)


def _is_training(graph: Graph, output: Ref, dropped: Sequence[str]) -> bool:
    before = graph.ancestors([output.node])
    if before & set(dropped):
        return True
    nodes = (graph[name] for name in before)
    return any(node.op in RANDOM or is_training_batch_norm(node.op, node.attr) for node in nodes)


def _trained(weights: frozenset[str], clean: frozenset[str]) -> bool:
    return bool(weights) and weights <= clean


def _best_of_equals(
    graph: Graph, outputs: Sequence[Ref], weights: dict[Ref, frozenset[str]]
) -> list[Ref]:
    groups: dict[object, list[Ref]] = {}
    for item in outputs:
        node = graph[item.node]
        key = (weights[item], node.op, leaf(node.name), item.port) if weights[item] else item
        groups.setdefault(key, []).append(item)
    kept = []
    for group in groups.values():
        ranks = [evaluation_rank(item.node) for item in group]
        differ = len(set(ranks)) > 1 or _are_towers(group)
        kept.extend([group[ranks.index(min(ranks))]] if differ else group)
    return [item for item in outputs if item in kept]


def _are_towers(group: Sequence[Ref]) -> bool:
    """Whether names differ in the number of a tower, replica or GPU alone."""
    scopes = {item.node.split("/")[0].lower().rstrip("0123456789") for item in group}
    return (
        len(group) > 1
        and len(scopes) == 1
        and any(word in next(iter(scopes)) for word in ("tower", "replica", "gpu", "clone"))
    )
