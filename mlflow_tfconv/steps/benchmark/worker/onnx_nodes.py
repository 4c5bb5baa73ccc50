"""The nodes of an ONNX file, read off its bytes: weights are skipped, and no library is needed.

Field numbers are those of onnx/onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_MODEL_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 5, 11, 12, 15
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 3, 4, 5
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_TENSOR_NAME, _VALUE_NAME, _SPARSE_VALUES = 8, 1, 1

Field = tuple[int, int, int]  # number, where its content begins, where it ends


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node at the top of a graph.

    Attributes:
        name: As in the file; may be empty.
        operator: Its type.
        inputs: Names of tensors; those that its subgraphs take from around them too.
        outputs: Names of tensors.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeGraph:
    """The nodes of a file.

    Attributes:
        nodes: In the file's order: producers come before consumers.
        constants: Names of the initializers.
        outputs: Names of what the graph gives.
    """

    nodes: tuple[GraphNode, ...]
    constants: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As plain values."""
        nodes = [[n.name, n.operator, list(n.inputs), list(n.outputs)] for n in self.nodes]
        used = {name for node in self.nodes for name in node.inputs}
        constants = sorted(self.constants & used)
        return {"nodes": nodes, "constants": constants, "outputs": list(self.outputs)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> NodeGraph:
        """From what `to_plain` gave."""
        nodes = tuple(GraphNode(n[0], n[1], tuple(n[2]), tuple(n[3])) for n in plain["nodes"])
        return cls(nodes, frozenset(plain["constants"]), tuple(plain["outputs"]))


def onnx_nodes(path: Path) -> NodeGraph:
    """The nodes of an ONNX file.

    Raises:
        ValueError: Its bytes are no whole message.
    """
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for number, start, end in _fields(data, 0, len(data)):
            if number == _MODEL_GRAPH:
                return _graph(data, start, end)
    raise ValueError(f"{path.name} has no graph")


def _graph(data: Any, start: int, end: int) -> NodeGraph:
    nodes, constants, outputs = [], set(), []
    for number, at, stop in _fields(data, start, end):
        if number == _NODE:
            nodes.append(_node(data, at, stop))
        elif number == _INITIALIZER:
            constants.add(_text_in(data, at, stop, _TENSOR_NAME))
        elif number == _SPARSE:
            for field, inner, last in _fields(data, at, stop):
                if field == _SPARSE_VALUES:
                    constants.add(_text_in(data, inner, last, _TENSOR_NAME))
        elif number == _OUTPUT:
            outputs.append(_text_in(data, at, stop, _VALUE_NAME))
    return NodeGraph(tuple(nodes), frozenset(constants), tuple(outputs))


def _node(data: Any, start: int, end: int) -> GraphNode:
    inputs, outputs, texts = [], [], {_NODE_NAME: "", _NODE_TYPE: ""}
    for number, at, stop in _fields(data, start, end):
        if number == _NODE_INPUT:
            inputs.append(_text(data, at, stop))
        elif number == _NODE_OUTPUT:
            outputs.append(_text(data, at, stop))
        elif number in texts:
            texts[number] = _text(data, at, stop)
        elif number == _NODE_ATTRIBUTE:
            inputs.extend(_taken_by(data, at, stop))
    return GraphNode(texts[_NODE_NAME], texts[_NODE_TYPE], tuple(inputs), tuple(outputs))


def _taken_by(data: Any, start: int, end: int) -> Iterator[str]:
    """What the subgraphs of an attribute take from around them."""
    for number, at, stop in _fields(data, start, end):
        if number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            graph = _graph(data, at, stop)
            own = {name for node in graph.nodes for name in node.outputs} | graph.constants
            own |= {_text_in(data, i, j, _VALUE_NAME) for i, j in _inputs(data, at, stop)}
            yield from dict.fromkeys(n for node in graph.nodes for n in node.inputs if n not in own)


def _inputs(data: Any, start: int, end: int) -> Iterator[tuple[int, int]]:
    return ((at, stop) for number, at, stop in _fields(data, start, end) if number == _INPUT)


def _text_in(data: Any, start: int, end: int, wanted: int) -> str:
    for number, at, stop in _fields(data, start, end):
        if number == wanted:
            return _text(data, at, stop)
    return ""


def _text(data: Any, start: int, end: int) -> str:
    return str(data[start:end].decode("utf-8", "replace"))


def _fields(data: Any, start: int, end: int) -> Iterator[Field]:
    """The fields of a message: of numbers the content is their bytes."""
    at = start
    while at < end:
        key, at = _varint(data, at, end)
        wire = key & 7
        if wire == _LENGTH:
            length, at = _varint(data, at, end)
        elif wire == _VARINT:
            length = _varint(data, at, end)[1] - at
        elif wire in (_EIGHT, _FOUR):
            length = 8 if wire == _EIGHT else 4
        else:
            raise ValueError(f"byte {at:,} is no part of a protobuf message")
        if at + length > end:
            raise ValueError(f"the message ends within a field at byte {at:,}")
        yield key >> 3, at, at + length
        at += length


def _varint(data: Any, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError(f"the message ends within a number at byte {at:,}")
