"""Calls of a graph's functions, put into the graph: branches that are taken, and plain calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.tensor_types import op_definition, output_counts

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
BRANCHES = frozenset({"If", "StatelessIf"})
#: Functions in functions; more is a circle.
_DEEPEST = 50


def with_bodies(graph: Graph, taken: Mapping[str, bool]) -> Graph:
    """The graph with called functions in place of their calls.

    Args:
        graph: The graph.
        taken: Name of an `If` to whether its condition holds, where that is known.
    """
    for _ in range(_DEEPEST):
        calls = [node for node in graph if _function(graph, node, taken) is not None]
        if not calls:
            return graph
        for node in calls:
            graph = _inlined(graph, node, _function(graph, node, taken))
    return graph


def _function(graph: Graph, node: Node, taken: Mapping[str, bool]) -> Any:
    """The function that a node certainly calls, or None."""
    name = None
    if node.op in _CALLS:
        name = node.attr["f"].func.name
    elif node.op in BRANCHES and node.name in taken:
        name = node.attr["then_branch" if taken[node.name] else "else_branch"].func.name
    found = {function.signature.name: function for function in graph.library.function}
    return found.get(name or node.op)


def _inlined(graph: Graph, call: Node, function: Any) -> Graph:
    given = call.inputs[1:] if call.op in BRANCHES else call.inputs
    names = {arg.name: item for arg, item in zip(function.signature.input_arg, given, strict=True)}
    body = {message.name: message for message in function.node_def}
    prefix = call.name
    changes: dict[str, Node | None] = {call.name: None}
    for message in function.node_def:
        data = tuple(
            _ref(graph, body, names, prefix, text)
            for text in message.input
            if not text.startswith("^")
        )
        controls = tuple(
            f"{prefix}/{text[1:]}" for text in message.input if text[:1] == "^" and text[1:] in body
        )
        name = f"{prefix}/{message.name}"
        attributes = dict(message.attr.items())
        changes[name] = Node(name, message.op, data, (*controls, *call.controls), attributes)
    targets: dict[Ref, Ref] = {}
    for port, argument in enumerate(function.signature.output_arg):
        result = function.ret[argument.name]
        targets[Ref(call.name, port)] = _ref(graph, body, names, prefix, result)
    changes.update(_handed_on(call, targets))
    redirected = graph.redirected({item: end for item, end in targets.items() if item.port})
    return _uncontrolled(redirected, call.name, body, prefix).replaced(changes)


def _handed_on(call: Node, targets: Mapping[Ref, Ref]) -> dict[str, Node | None]:
    """The call's own name goes on to stand for its first result."""
    first = targets.get(Ref(call.name))
    if first is None:
        return {}
    kinds = call.attr.get("Tout")
    attributes = {}
    if kinds is not None and len(kinds.list.type):
        attributes["T"] = type(kinds)(type=kinds.list.type[0])
    return {call.name: Node(call.name, "Identity", (first,), (), attributes)}


def _uncontrolled(graph: Graph, name: str, body: Mapping[str, Any], prefix: str) -> Graph:
    """Who waited for the call waits for the function's stateful nodes, if it has any."""
    waiting = [node for node in graph if name in node.controls]
    inner = tuple(f"{prefix}/{item}" for item in body)
    return graph.replaced(
        {
            node.name: replace(
                node, controls=(*(c for c in node.controls if c != name), *inner[-1:])
            )
            for node in waiting
        }
    )


def _ref(
    graph: Graph, body: Mapping[str, Any], names: Mapping[str, Ref], prefix: str, text: str
) -> Ref:
    """A function's way to name a tensor: `argument`, or `node:output:number`."""
    parts = text.split(":")
    if parts[0] in names:
        return names[parts[0]]
    message = body[parts[0]]
    port = 0
    if len(parts) > 1:
        definition = op_definition(graph, message.op)
        node = Node(message.name, message.op, (), (), dict(message.attr.items()))
        for argument, count in output_counts(graph, node, definition):
            if argument == parts[1]:
                break
            port += count
        port += int(parts[2]) if len(parts) > 2 else 0
    return Ref(f"{prefix}/{parts[0]}", port)
