"""A GraphDef as nodes that can be looked up, followed in both directions and replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from tensorflow.core.framework import attr_value_pb2, graph_pb2, node_def_pb2


class Ref(NamedTuple):
    """One output of a node: what TensorFlow calls a tensor."""

    node: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.node}:{self.port}"


def ref(name: str) -> Ref:
    """The tensor of a name such as "batch:0" or "batch"."""
    node, _, port = name.rpartition(":")
    return Ref(node, int(port)) if node and port.isdigit() else Ref(name, 0)


@dataclass(frozen=True, slots=True)
class Node:
    """A node; its attributes are those of the message it came from, not copies.

    Attributes:
        name: Its name.
        op: Its operation.
        inputs: The tensors it takes, in order.
        controls: Names of the nodes that run before it.
        attr: Name to `AttrValue`.
    """

    name: str
    op: str
    inputs: tuple[Ref, ...] = ()
    controls: tuple[str, ...] = ()
    attr: Mapping[str, Any] = field(default_factory=dict)

    def identity(self, of: Ref | None = None) -> Node:
        """A node of the same name that hands on a tensor, its first input if none is named."""
        kind = self.attr.get("T") or self.attr.get("dtype")
        return Node(
            self.name,
            "Identity",
            (of or self.inputs[0],),
            self.controls,
            {"T": kind} if kind is not None else {},
        )


class Graph:
    """Nodes by name. It is never changed: `replaced` gives another.

    Attributes:
        nodes: Name to node, in the order of the file.
        library: The graph's functions (`FunctionDefLibrary`).
        versions: The graph's `VersionDef`.
    """

    def __init__(self, nodes: Mapping[str, Node], library: Any, versions: Any) -> None:
        self.nodes = dict(nodes)
        self.library = library
        self.versions = versions

    @staticmethod
    def of(graph_def: Any) -> Graph:
        """The graph of a `GraphDef`."""
        nodes = {message.name: _node(message) for message in graph_def.node}
        return Graph(nodes, graph_def.library, graph_def.versions)

    def replaced(self, changes: Mapping[str, Node | None]) -> Graph:
        """A graph with other or further nodes; None takes one away."""
        if not changes:
            return self
        nodes = {name: node for name, node in self.nodes.items() if name not in changes}
        merged = {name: changes.get(name, node) for name, node in self.nodes.items()}
        merged.update({name: node for name, node in changes.items() if name not in nodes})
        kept = {name: node for name, node in merged.items() if node is not None}
        return Graph(kept, self.library, self.versions)

    def redirected(self, targets: Mapping[Ref, Ref]) -> Graph:
        """A graph in which consumers of some tensors take others instead."""
        changes: dict[str, Node | None] = {}
        for name, node in self.nodes.items():
            if any(item in targets for item in node.inputs):
                inputs = tuple(targets.get(item, item) for item in node.inputs)
                changes[name] = replace(node, inputs=inputs)
        return self.replaced(changes)

    @cached_property
    def consumers(self) -> dict[str, list[str]]:
        """Name of a node to the names of those that take its tensors."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, node in self.nodes.items():
            for item in dict.fromkeys(tensor.node for tensor in node.inputs):
                if item in found:
                    found[item].append(name)
        return found

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names of the nodes, each after what it takes; loops are broken at `NextIteration`."""
        done: dict[str, None] = {}
        for start in self.nodes:
            stack = [(start, False)]
            while stack:
                name, inputs_done = stack.pop()
                if inputs_done:
                    done[name] = None
                elif name not in done and name in self.nodes:
                    stack.append((name, True))
                    stack.extend((item, False) for item in self._before(name) if item not in done)
        return tuple(done)

    def _before(self, name: str) -> list[str]:
        node = self.nodes[name]
        taken = [*(tensor.node for tensor in node.inputs), *node.controls]
        if node.op == "Merge":
            taken = [item for item in taken if not self._is_back_edge(item)]
        return taken

    def _is_back_edge(self, name: str) -> bool:
        return name in self.nodes and self.nodes[name].op == "NextIteration"

    def ancestors(self, names: Iterable[str], *, controls: bool = False) -> set[str]:
        """The nodes and all they are computed from."""
        found: set[str] = set()
        stack = [name for name in names if name in self.nodes]
        while stack:
            name = stack.pop()
            if name in found:
                continue
            found.add(name)
            node = self.nodes[name]
            before = [tensor.node for tensor in node.inputs]
            before += node.controls if controls else ()
            stack.extend(item for item in before if item in self.nodes and item not in found)
        return found

    def part(self, names: Iterable[str]) -> Graph:
        """The graph of some of its nodes."""
        wanted = set(names)
        nodes = {name: node for name, node in self.nodes.items() if name in wanted}
        return Graph(nodes, self.library, self.versions)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __contains__(self, name: object) -> bool:
        return name in self.nodes

    def free_name(self, wanted: str) -> str:
        """A name that no node has."""
        name, number = wanted, 0
        while name in self.nodes:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def message(self) -> Any:
        """The graph as a `GraphDef`, without devices."""
        result = graph_pb2.GraphDef()
        result.versions.CopyFrom(self.versions)
        if len(self.library.function):
            result.library.CopyFrom(self.library)
        for node in self:
            _write(node, result.node.add())
        return result


def _node(message: Any) -> Node:
    inputs = tuple(ref(name) for name in message.input if not name.startswith("^"))
    controls = tuple(name[1:] for name in message.input if name.startswith("^"))
    return Node(message.name, message.op, inputs, controls, dict(message.attr.items()))


def _write(node: Node, message: node_def_pb2.NodeDef) -> None:
    message.name, message.op = node.name, node.op
    message.input.extend(str(item) if item.port else item.node for item in node.inputs)
    message.input.extend(f"^{name}" for name in node.controls)
    for key, value in node.attr.items():
        if key not in ("_output_shapes", "_class"):
            message.attr[key].CopyFrom(value)


def type_attr(dtype: int) -> Any:
    """An attribute that holds a type."""
    return attr_value_pb2.AttrValue(type=dtype)
