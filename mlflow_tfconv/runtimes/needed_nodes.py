"""The part of a graph that some of its tensors are computed from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from mlflow_tfconv.runtimes.graph_walk import GraphWalk, node_name


class NeededNodes(NamedTuple):
    """A smaller graph, and all tensors that its nodes take."""

    graph_def: Any
    taken: frozenset[str]


#: What a node in a branch or loop of TensorFlow 1 waits for, so as to belong to it. Everything else
#: that nodes wait for (checks, prints, counters) is no part of what they compute.
_PIVOTS = frozenset({"Identity", "Switch", "Merge", "Enter", "LoopCond", "Const"})


def needed_nodes(graph_def: Any, wanted: Iterable[str], given: Iterable[str]) -> NeededNodes:
    """The nodes that tensors need when others are given, and all tensors that they take."""
    walk, cuts = GraphWalk(graph_def), frozenset(given)
    goals, kept = list(wanted), list[str]()
    while True:
        kept = walk.order(goals, lambda tensor: tensor in cuts)
        pivots = _pivots(walk, kept, cuts)
        if pivots <= set(kept):
            break
        goals.extend(f"{name}:0" for name in sorted(pivots))
    smaller = type(graph_def)(library=graph_def.library, versions=graph_def.versions)
    known = set(kept)
    for name in kept:
        node = smaller.node.add()
        node.CopyFrom(walk.nodes[name])
        node.input[:] = [i for i in node.input if not i.startswith("^") or node_name(i) in known]
    return NeededNodes(smaller, frozenset(t for node in smaller.node for t in walk.inputs(node)))


def _pivots(walk: GraphWalk, kept: Iterable[str], cuts: frozenset[str]) -> set[str]:
    waited = {node_name(i) for name in kept for i in walk.nodes[name].input if i.startswith("^")}
    return {
        name
        for name in waited
        if name in walk.nodes and walk.nodes[name].op in _PIVOTS and f"{name}:0" not in cuts
    }
