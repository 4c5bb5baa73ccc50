"""Walks a GraphDef along its data edges, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


def tensor_name(reference: str) -> str:
    """The full name of a tensor that a node refers to: "dense" is "dense:0"."""
    return reference if ":" in reference else f"{reference}:0"


def node_name(tensor: str) -> str:
    """The name of the node that gives a tensor."""
    return tensor.removeprefix("^").partition(":")[0]


def called_functions(node: Any) -> list[str]:
    """Names of the functions that a node runs: the bodies of loops and branches."""
    found = (one for attr in node.attr.values() for one in (attr.func, *attr.list.func))
    return list(dict.fromkeys(one.name for one in found if one.name))


class GraphWalk:
    """A GraphDef, indexed.

    Loops of TensorFlow 1 make cycles; every walk comes to an end all the same.

    Attributes:
        nodes: Name to NodeDef.
        consumers: Tensor to the nodes that take it and the place among their inputs.
    """

    def __init__(self, graph_def: Any) -> None:
        self.nodes: dict[str, Any] = {node.name: node for node in graph_def.node}
        self.consumers: dict[str, list[tuple[Any, int]]] = {}
        for node in graph_def.node:
            for index, tensor in enumerate(self.inputs(node)):
                self.consumers.setdefault(tensor, []).append((node, index))

    @staticmethod
    def inputs(node: Any) -> list[str]:
        """The tensors that a node takes; what it only waits for is not among them."""
        return [tensor_name(name) for name in node.input if not name.startswith("^")]

    def order(
        self, wanted: Iterable[str], stop: Callable[[str], bool] = frozenset[str]().__contains__
    ) -> list[str]:
        """Names of the nodes that tensors are computed from, each after those before it.

        Args:
            wanted: The tensors.
            stop: Says of a tensor whether to go no further, so that its node is left out.
        """
        done: dict[str, None] = {}
        seen: set[str] = set()
        stack = [(node_name(t), False) for t in reversed(list(wanted)) if not stop(t)]
        while stack:
            name, inputs_done = stack.pop()
            if inputs_done:
                done[name] = None
                continue
            if name in seen or name not in self.nodes:
                continue
            seen.add(name)
            stack.append((name, True))
            inputs = reversed(self.inputs(self.nodes[name]))
            stack.extend((node_name(t), False) for t in inputs if not stop(t))
        return list(done)

    def forward(self, tensors: Iterable[str]) -> Iterator[Any]:
        """The nodes that depend on tensors, the near ones first."""
        queue, seen = list(tensors), set[str]()
        for tensor in queue:
            for node, _ in self.consumers.get(tensor, ()):
                if node.name not in seen:
                    seen.add(node.name)
                    yield node
                    queue.extend(self.outputs(node))

    def outputs(self, node: Any) -> list[str]:
        """The tensors of a node that others take; the first even when nobody does."""
        return [f"{node.name}:0", *self._others.get(node.name, ())]

    @property
    def _others(self) -> dict[str, list[str]]:
        if not hasattr(self, "_others_found"):
            self._others_found: dict[str, list[str]] = {}
            for tensor in self.consumers:
                if not tensor.endswith(":0"):
                    self._others_found.setdefault(node_name(tensor), []).append(tensor)
        return self._others_found
