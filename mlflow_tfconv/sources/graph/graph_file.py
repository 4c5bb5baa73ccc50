"""A graph in a file of its own: a GraphDef or a MetaGraphDef, binary or as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.damaged_file import damaged_file, require_content
from mlflow_tfconv.sources.checkpoints.snappy_block import varint
from mlflow_tfconv.sources.graph.graph_text import message_from_text

#: Bytes of the other kinds of values: 64 bits, 32 bits.
_FIXED = {1: 8, 5: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFile:
    """What was read.

    Attributes:
        path: The file.
        graph_def: The `GraphDef`.
        meta: The `MetaGraphDef` around it, None of a bare graph.
        is_text: Whether it was written as text.
    """

    path: Path
    graph_def: Any
    meta: Any = None
    is_text: bool = False


def graph_file(path: Path) -> GraphFile:
    """Reads a graph of either kind, binary or text, told by its content.

    Raises:
        ConversionError: The file is missing, empty, cut off or altered, or holds no graph.
    """
    if not path.is_file():
        raise ConversionError(
            f"The graph {path.name} is missing.",
            received=str(path),
            expected="a .meta file, or a graph as .pb or .pbtxt",
            fix="Check the path.",
        )
    data = require_content(path).read_bytes()
    is_text = _is_text(data)
    message = _from_text(path, data) if is_text else _from_binary(path, data)
    is_meta = isinstance(message, meta_graph_pb2.MetaGraphDef)
    graph_def = message.graph_def if is_meta else message
    if not graph_def.node:
        raise damaged_file(path, "it holds no graph")
    _require_whole(path, graph_def)
    return GraphFile(
        path=path, graph_def=graph_def, meta=message if is_meta else None, is_text=is_text
    )


def _is_text(data: bytes) -> bool:
    """Whether it begins as protobuf's text does: a name or a comment, then `{` or `:`."""
    line = data[:4096].lstrip().split(b"\n", 1)[0]
    printable = all(byte >= 32 or byte in b"\t\r" for byte in line)
    return printable and (line.startswith(b"#") or b"{" in line or b":" in line)


def _from_binary(path: Path, data: bytes) -> Any:
    try:
        fields = list(_top_level_fields(data))
    except ValueError as error:
        raise _not_whole(path, str(error)) from error
    is_meta = fields.count(1) <= 1 and 2 in fields
    kinds = [meta_graph_pb2.MetaGraphDef, graph_pb2.GraphDef]
    for kind in kinds if is_meta else kinds[::-1]:
        try:
            message = kind.FromString(data)
        except DecodeError:
            continue
        if _makes_sense(message):
            return message
    raise _not_whole(path, "its content can't be read as a graph")


def _makes_sense(message: Any) -> bool:
    """Whether bytes were of this message, and did not only happen to be readable as it."""
    is_meta = isinstance(message, meta_graph_pb2.MetaGraphDef)
    nodes = message.graph_def.node if is_meta else message.node
    return bool(nodes) and all(node.name and node.op for node in nodes)


def _from_text(path: Path, data: bytes) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_whole(path, f"it is no text: {error.reason}") from error
    is_meta = any(name in text for name in ("graph_def {", "graph_def:", "meta_info_def {"))
    kind = meta_graph_pb2.MetaGraphDef if is_meta else graph_pb2.GraphDef
    try:
        return message_from_text(text, kind)
    except ValueError as error:
        raise _not_whole(path, f"its text can't be read: {error}") from error


def _require_whole(path: Path, graph_def: Any) -> None:
    """Every input must be the result of a node: a file that was cut between nodes is readable."""
    names = {node.name for node in graph_def.node}
    for node in graph_def.node:
        for tensor in node.input:
            name = tensor.removeprefix("^").split(":")[0]
            if name not in names:
                raise _not_whole(path, f"node {node.name} takes {tensor}, which is not in it")


def _not_whole(path: Path, problem: str) -> ConversionError:
    kind = "MetaGraphDef" if path.suffix == ".meta" else "GraphDef"
    return damaged_file(path, f"not a whole {kind}: {problem}")


def _top_level_fields(data: bytes) -> Iterator[int]:
    """The number of each top-level field; contents are skipped.

    Raises:
        ValueError: This is not protobuf, or it ends inside a field.
    """
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0 or wire not in (0, 1, 2, 5):
            raise ValueError(f"byte {at:,} begins no field")
        length = _FIXED.get(wire, 0)
        if wire != 1 and wire != 5:
            value, at = varint(data, at)
            length = value if wire == 2 else 0
        at += length
        if at > len(data):
            raise ValueError(f"{at - len(data):,} bytes are missing at its end")
        yield number
