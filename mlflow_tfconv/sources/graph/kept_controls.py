"""Control dependencies that inference needs: those that keep a node inside its branch or loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mlflow_tfconv.sources.graph.contexts import Contexts, contexts
from mlflow_tfconv.sources.graph.graph_view import Graph, Node
from mlflow_tfconv.sources.graph.op_kinds import is_effect
from mlflow_tfconv.sources.graph.pruned_loops import pruned_loops


def inference_part(graph: Graph, outputs: Iterable[str]) -> Graph:
    """The nodes that outputs are computed from.

    Control dependencies on updates, checks and initializers are dropped. In a branch or loop, a
    constant has nothing but a control dependency to say where it belongs, so that one is kept; of
    one on an effect in there, what the effect itself waits for.
    """
    around = contexts(graph)
    changes: dict[str, Node | None] = {}
    for node in graph:
        if node.controls:
            kept = _kept(graph, node, around) if around.is_inside(node.name) else ()
            changes[node.name] = replace(node, controls=kept)
    graph = graph.replaced(changes)
    wanted = list(outputs)
    part = pruned_loops(graph.part(graph.ancestors(wanted, controls=True)))
    return part.part(part.ancestors(wanted, controls=True))


def _kept(graph: Graph, node: Node, around: Contexts) -> tuple[str, ...]:
    if node.inputs and all(around.is_inside(item.node) for item in node.inputs):
        return ()  # its inputs say where it belongs
    found: dict[str, None] = {}
    stack, seen = list(node.controls), set(node.controls)
    while stack:
        name = stack.pop()
        if name not in graph or not around.is_inside(name):
            continue
        before = graph[name]
        if not is_effect(before.op):
            found[name] = None
            continue
        following = [*(item.node for item in before.inputs), *before.controls]
        stack.extend(item for item in following if item not in seen)
        seen.update(following)
    return tuple(found)
