"""Names in an ONNX file that are the same whenever the same model is converted.

tf2onnx numbers what it makes up (`const_fold_opt__17`) by a counter of the process, and its einsum
pass by memory addresses. TensorFlow numbers the functions that it freezes (`while_body_frozen_44`),
whose names are in those of all their nodes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

_MADE_UP = re.compile(r"__\d+(?=$|[:/_])|(?<=einsum)\d{6,}|_frozen_\d+")


def stable_names(model: Any) -> Any:
    """The model with an order of nodes and with made-up names that only its structure decides.

    Names that come from the source stay.

    Args:
        model: An `onnx.ModelProto`; changed in place, its weights are not copied.
    """
    graph = model.graph
    _order(graph)
    values = [*graph.input, *graph.output]
    _Names(value.name for value in values).give(graph, {value.name: value.name for value in values})
    return model


def _order(graph: Any) -> None:
    """Nodes depth first from the outputs, initializers as they are first used."""
    for node in graph.node:
        for body in _bodies(node):
            _order(body)
    producers = {name: node for node in graph.node for name in node.output if name}
    reached = _reached([value.name for value in graph.output], producers)
    place = {name: n for n, name in enumerate(reached)}
    last = len(place)
    graph.node.sort(key=lambda node: min((place.get(o, last) for o in node.output), default=last))
    used = [name for node in graph.node for name in _uses(node)]
    place = {name: n for n, name in enumerate(dict.fromkeys(used))}
    graph.initializer.sort(key=lambda tensor: (place.get(tensor.name, len(place)), tensor.name))


def _reached(wanted: list[str], producers: dict[str, Any]) -> list[str]:
    """Names of results, each after those it is computed from; without recursion."""
    done: dict[str, None] = {}
    stack = [(name, False) for name in reversed(wanted)]
    while stack:
        name, inputs_done = stack.pop()
        if name in done or name not in producers:
            continue
        if inputs_done:
            done.update(dict.fromkeys(producers[name].output))
            continue
        stack.append((name, True))
        stack.extend((used, False) for used in reversed(list(_uses(producers[name]))))
    return list(done)


def _uses(node: Any) -> Iterator[str]:
    """What a node and the bodies in it take; names that belong to a body do no harm."""
    yield from node.input
    for body in _bodies(node):
        for inner in body.node:
            yield from _uses(inner)
        yield from (value.name for value in body.output)


def _bodies(node: Any) -> Iterator[Any]:
    """Graphs inside a node: those of Loop, Scan and If."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _name_sizes(value: Any) -> None:
    """Names what varies in a shape by its place."""
    for axis, size in enumerate(value.type.tensor_type.shape.dim):
        if size.dim_param:
            size.dim_param = f"{value.name}_{axis}"


class _Names:
    """Replaces made-up names by ones that are counted in the order of the nodes."""

    def __init__(self, kept: Iterator[str]) -> None:
        self._taken = set(kept)
        self._counter = itertools.count(1)

    def give(self, graph: Any, names: dict[str, str]) -> None:
        """Renames in a graph and in the bodies in it; `names` are those around it."""
        for value in (*graph.input, *graph.initializer):
            value.name = names.setdefault(value.name, self._new(value.name))
        for node in graph.node:
            node.name = self._new(node.name)
            node.input[:] = [names.get(name, name) for name in node.input]
            for body in _bodies(node):
                body.name = self._new(body.name)
                self.give(body, dict(names))
            for name in node.output:
                names.setdefault(name, self._new(name))
            node.output[:] = [names[name] for name in node.output]
        for value in (*graph.output, *graph.value_info):
            value.name = names.get(value.name, value.name)
        for value in (*graph.input, *graph.output, *graph.value_info):
            _name_sizes(value)

    def _new(self, name: str) -> str:
        if not _MADE_UP.search(name):
            return name
        base = _MADE_UP.sub("", name)
        candidates = (f"{base}__{n}" for n in self._counter)
        fresh = next(candidate for candidate in candidates if candidate not in self._taken)
        self._taken.add(fresh)
        return fresh
