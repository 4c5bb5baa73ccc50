"""Files of protobuf: it has no magic number, but the top-level fields tell the message."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mlflow_tfconv.formats.known_formats import Recognised
from mlflow_tfconv.formats.unknown_files import damaged_file, unknown_file

#: (number, wire type) of the fields of each message; 0 is a varint, 2 has a length.
_ONNX = {(1, 0), (7, 2)}
_SAVED_MODEL = {(1, 0), (2, 2)}
_GRAPH_DEF = {(1, 2), (2, 2), (3, 0), (4, 2), (5, 2)}
_META_GRAPH = {(1, 2), (2, 2), (3, 2), (4, 2), (5, 2), (6, 2), (7, 2)}
_MOST_FIELDS = 5_000_000
_NAME = re.compile(rb"[\x20-\x7e]{1,1000}")
_VERSION = re.compile(rb"\d+\.\d+[\w.+-]*")


class _Cut(Exception):  # noqa: N818 (not an error of ours: it becomes one)
    """The file ends, or goes wrong, within a field."""


@dataclass(slots=True)
class _Seen:
    """The top-level fields of a file, as far as they make sense."""

    counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    first: bytes = b""
    whole: bool = True


def by_fields(path: Path) -> Recognised | None:
    """The format that the fields tell; None when it is no message that is known.

    Raises:
        ConversionError: It begins as one and is not whole.
    """
    seen = _seen(path)
    kinds = set(seen.counts)
    if not kinds:
        return None
    if not seen.whole:
        return _refused(path, seen)
    if kinds >= _ONNX:
        return Recognised(format="onnx", path=path)
    if (1, 0) in kinds and kinds <= _SAVED_MODEL:
        return Recognised(format="saved_model", path=path.parent)
    if kinds <= _META_GRAPH and (2, 2) in kinds and _is_meta_graph(seen):
        return Recognised(format="meta_graph", path=path)
    if kinds <= _GRAPH_DEF and _is_node(seen.first):
        return Recognised(format="graph_def", path=path, detail=f"{seen.counts[(1, 2)]:,} nodes")
    return None


def _refused(path: Path, seen: _Seen) -> Recognised | None:
    """Says of a file that is not whole what it was to be."""
    kinds = set(seen.counts)
    if kinds <= _META_GRAPH and (2, 2) in kinds and _is_meta_graph(seen):
        raise damaged_file(path, "not a whole MetaGraph")
    if kinds <= _GRAPH_DEF and _is_node(seen.first):
        nodes = seen.counts[(1, 2)]
        raise damaged_file(path, f"not a whole GraphDef, it ends within or after node {nodes:,}")
    if (1, 0) in kinds and kinds <= {(1, 0), (2, 2), (3, 2), (4, 2), (7, 2), (8, 2)}:
        raise unknown_file(path, "or it was cut off")
    return None


def _is_meta_graph(seen: _Seen) -> bool:
    """A MetaGraph has one field 1, a MetaInfoDef; a GraphDef one for each node."""
    if (3, 2) in seen.counts or (1, 2) not in seen.counts:
        return True
    if seen.counts[(1, 2)] > 1:
        return False
    versions = (value for number, value in _inner(seen.first) if number == 5)
    return any(_VERSION.fullmatch(value) for value in versions) or not _is_node(seen.first)


def _is_node(message: bytes) -> bool:
    """Whether it is a NodeDef: a name and an operation, in printable letters."""
    found = dict(reversed(list(_inner(message))))
    return all(_NAME.fullmatch(found.get(number, b"")) for number in (1, 2))


def _inner(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields with a length in a message, as far as it goes."""
    at = 0
    while at < len(message):
        key, at = _varint_in(message, at)
        length, at = _varint_in(message, at)
        if key & 7 == 0:
            continue
        if key & 7 != 2 or at + length > len(message):
            return
        yield key >> 3, message[at : at + length]
        at += length


def _varint_in(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
    return value, at


def _seen(path: Path) -> _Seen:
    seen = _Seen()
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            while file.tell() < size and sum(seen.counts.values()) < _MOST_FIELDS:
                kind, first = _field(file, size, keep=not seen.first)
                seen.counts[kind] += 1
                seen.first = seen.first or first
        except _Cut:
            seen.whole = False
    return seen


def _field(file: BinaryIO, size: int, *, keep: bool) -> tuple[tuple[int, int], bytes]:
    """The kind of the next field; its content is skipped, but for the first field 1."""
    key = _varint(file.read)
    number, wire = key >> 3, key & 7
    if number == 0 or wire not in (0, 1, 2, 5):
        raise _Cut
    length = {1: 8, 5: 4}.get(wire, 0)
    if wire in (0, 2):
        value = _varint(file.read)
        length = value if wire == 2 else 0
    if file.tell() + length > size:
        raise _Cut
    content = file.read(min(length, 1 << 16)) if keep and (number, wire) == (1, 2) else b""
    file.seek(length - len(content), 1)
    return (number, wire), content


def _varint(read: Callable[[int], bytes]) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = read(1)
        if not byte:
            break
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise _Cut
