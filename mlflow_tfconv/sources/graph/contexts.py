"""Which nodes lie inside loops and branches of TensorFlow 1, where nobody outside can see them."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_tfconv.sources.graph.graph_view import Graph, Node


@dataclass(frozen=True, slots=True)
class Contexts:
    """How deep nodes lie.

    Attributes:
        loops: Name of a node to the number of loops around it.
        branches: Name of a node to the number of branches around it.
    """

    loops: dict[str, int]
    branches: dict[str, int]

    def is_inside(self, name: str) -> bool:
        """Whether a loop or a branch is around the node."""
        return bool(self.loops.get(name) or self.branches.get(name))


def contexts(graph: Graph) -> Contexts:
    """Counts what `Enter` and `Switch` begin and `Exit` and `Merge` end."""
    loops: dict[str, int] = {}
    branches: dict[str, int] = {}
    for name in graph.order:
        node = graph[name]
        before = [*(item.node for item in node.inputs), *node.controls]
        in_loops = max((loops.get(item, 0) for item in before), default=0)
        in_branches = max((branches.get(item, 0) for item in before), default=0)
        loops[name] = max(in_loops + {"Enter": 1, "Exit": -1}.get(node.op, 0), 0)
        branches[name] = max(in_branches + _branch(graph, node), 0)
    return Contexts(loops, branches)


def _branch(graph: Graph, node: Node) -> int:
    if node.op == "Switch":
        return 0 if _is_loop_switch(graph, node) else 1
    if node.op == "Merge":
        return 0 if _is_loop_merge(graph, node) else -1
    return 0


def _is_loop_switch(graph: Graph, node: Node) -> bool:
    return graph[node.inputs[1].node].op == "LoopCond" if node.inputs[1].node in graph else False


def _is_loop_merge(graph: Graph, node: Node) -> bool:
    return any(
        item.node in graph and graph[item.node].op == "NextIteration" for item in node.inputs
    )
