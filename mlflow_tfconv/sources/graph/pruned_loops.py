"""Loops without what only gradients need: a loop of TensorFlow 2 keeps every step for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref

LOOPS = frozenset({"While", "StatelessWhile"})
_LISTS = ("T", "output_shapes")


def pruned_loops(graph: Graph) -> Graph:
    """The graph whose loops carry only what their results need.

    Args:
        graph: The part that is converted; whatever takes a result is in it.
    """
    for name in [node.name for node in graph if node.op in LOOPS]:
        graph = _pruned(graph, graph[name])
    return graph


def _pruned(graph: Graph, loop: Node) -> Graph:
    functions = {function.signature.name: function for function in graph.library.function}
    body = functions.get(loop.attr["body"].func.name)
    condition = functions.get(loop.attr["cond"].func.name)
    if body is None or condition is None:
        return graph
    taken = {item.port for node in graph for item in node.inputs if item.node == loop.name}
    kept = _kept(body, condition, taken)
    if len(kept) == len(loop.inputs):
        return graph
    library = type(graph.library)()
    library.CopyFrom(graph.library)
    attributes = dict(loop.attr)
    for key, function, results in (("body", body, kept), ("cond", condition, None)):
        shorter = _shorter(function, kept, results, f"{loop.name}_{key}_of_inference")
        library.function.add().CopyFrom(shorter)
        attributes[key] = _named(loop.attr[key], shorter.signature.name)
    for key in _LISTS:
        if key in attributes:
            attributes[key] = _selected(attributes[key], kept)
    changed = replace(loop, inputs=tuple(loop.inputs[place] for place in kept), attr=attributes)
    moved = {Ref(loop.name, old): Ref(loop.name, new) for new, old in enumerate(kept)}
    nodes = graph.redirected(moved).replaced({loop.name: changed})
    return Graph(nodes.nodes, library, graph.versions)


def _kept(body: Any, condition: Any, taken: Iterable[int]) -> list[int]:
    """Places of what the loop has to carry for the results that are taken, and to end."""
    arguments = {arg.name: place for place, arg in enumerate(body.signature.input_arg)}
    names = {arg.name: place for place, arg in enumerate(condition.signature.input_arg)}
    needed = {names[name] for name in _arguments(condition, condition.ret.values())}
    # TensorFlow's loops begin with their count of turns and its limit, which tf2onnx relies on.
    waiting = [*needed, *taken, *range(min(2, len(names)))]
    needed.update(waiting)
    while waiting:
        place = waiting.pop()
        result = body.ret[body.signature.output_arg[place].name]
        for name in _arguments(body, [result]):
            if arguments[name] not in needed:
                needed.add(arguments[name])
                waiting.append(arguments[name])
    return sorted(needed)


def _arguments(function: Any, results: Iterable[str]) -> set[str]:
    """Names of the arguments that results depend on."""
    return _reached(function, results) & {arg.name for arg in function.signature.input_arg}


def _reached(function: Any, results: Iterable[str]) -> set[str]:
    """Names of the nodes and arguments that results depend on."""
    nodes = {node.name: node for node in function.node_def}
    found: set[str] = set()
    waiting = [text.removeprefix("^").split(":")[0] for text in results]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name in nodes:
            waiting.extend(text.removeprefix("^").split(":")[0] for text in nodes[name].input)
    return found


def _shorter(function: Any, arguments: list[int], results: list[int] | None, name: str) -> Any:
    """The function with some of its arguments and results, and what these need."""
    shorter = type(function)()
    signature = shorter.signature
    signature.CopyFrom(function.signature)
    signature.name = name
    signature.ClearField("control_output")
    del signature.input_arg[:]
    signature.input_arg.extend(function.signature.input_arg[place] for place in arguments)
    if results is not None:
        del signature.output_arg[:]
        signature.output_arg.extend(function.signature.output_arg[place] for place in results)
    for argument in signature.output_arg:
        shorter.ret[argument.name] = function.ret[argument.name]
    needed = _reached(function, shorter.ret.values())
    for node in function.node_def:
        if node.name in needed:
            shorter.node_def.add().CopyFrom(node)
    return shorter


def _named(value: Any, name: str) -> Any:
    named = type(value)()
    named.CopyFrom(value)
    named.func.name = name
    return named


def _selected(value: Any, places: list[int]) -> Any:
    """An attribute that lists something for each thing carried, for some of them."""
    selected = type(value)()
    if len(value.list.type):
        selected.list.type.extend(value.list.type[place] for place in places)
    elif len(value.list.shape):
        selected.list.shape.extend(value.list.shape[place] for place in places)
    else:
        selected.CopyFrom(value)
    return selected
