"""The files that an ONNX file keeps its weights in, told without reading a weight.

Nothing is imported for it, and the file is only mapped into memory: it may have gigabytes. The
numbers are those of onnx.proto. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mlflow_tfconv.errors import ConversionError

#: Message to {number of a field: the message in it}: all ways to a tensor.
MESSAGES = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        10: "TensorProto",
        6: "GraphProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1
_KEY, _VALUE = 1, 2
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
#: What every ONNX file has: the version of the format, and the graph.
_OF_MODEL = {(1, _VARINT), (7, _BYTES)}
#: A file that is something else is not gone through to its end.
_MOST_TOP_FIELDS = 100_000

Span = tuple[int, int]


class _NotOnnx(Exception):  # noqa: N818 (not an error of ours: the file has no external data then)
    """The bytes are not those of an ONNX file."""


def onnx_data(path: Path) -> tuple[Path, ...]:
    """The files with external data of an ONNX file, whether they are there or not.

    Args:
        path: Any file; what is no whole ONNX file has none.

    Raises:
        ConversionError: One of them would lie outside of the model's folder.
    """
    names = data_names(path)
    for name in names:
        if _leaves(name):
            raise ConversionError(
                "The ONNX file names data that would lie outside of its folder; that is refused.",
                received=f"{path} with external data in {name!r}",
                expected="data in the folder of the ONNX file, or below it",
                fix="Save it again with its data beside it: onnx.save_model(onnx.load(PATH), "
                'OTHER, save_as_external_data=True, location="model.onnx.data").',
            )
    return tuple(path.parent / name for name in names)


def data_names(path: Path) -> tuple[str, ...]:
    """The locations as they are written in the file, sorted."""
    if not path.stat().st_size:
        return ()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            _require_model(data)
            found = {name for tensor in _tensors(data) for name in _locations(data, tensor)}
        except _NotOnnx:
            return ()
    return tuple(sorted(found))


def _leaves(name: str) -> bool:
    """As onnx has it: even a way back into the folder is none."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or not path.name


def _require_model(data: mmap.mmap) -> None:
    kinds = set()
    for count, (number, wire, *_) in enumerate(_fields(data, (0, len(data)))):
        kinds.add((number, wire))
        if count > _MOST_TOP_FIELDS:
            raise _NotOnnx
    if not kinds >= _OF_MODEL:
        raise _NotOnnx


def _tensors(data: mmap.mmap) -> Iterator[Span]:
    """Where the tensors are, those of loops, branches and functions too."""
    waiting: list[tuple[str, Span]] = [("ModelProto", (0, len(data)))]
    while waiting:
        message, span = waiting.pop()
        if message == "TensorProto":
            yield span
            continue
        inside = MESSAGES[message]
        for number, wire, start, end in _fields(data, span):
            if wire == _BYTES and number in inside:
                waiting.append((inside[number], (start, end)))


def _locations(data: mmap.mmap, tensor: Span) -> list[str]:
    """Where the values of a tensor are, unless they are in the file itself."""
    entries, external = [], False
    for number, wire, start, end in _fields(data, tensor):
        if (number, wire) == (_DATA_LOCATION, _VARINT):
            external = start == _EXTERNAL
        elif (number, wire) == (_EXTERNAL_DATA, _BYTES):
            texts = {n: data[s:e] for n, w, s, e in _fields(data, (start, end)) if w == _BYTES}
            entries.append((texts.get(_KEY, b""), texts.get(_VALUE, b"")))
    if not external:
        return []
    return [value.decode(errors="surrogateescape") for key, value in entries if key == b"location"]


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, start and end of each field; the start of a varint is its value."""
    at, end = span
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if number == 0 or wire not in (_VARINT, _BYTES, *_FIXED):
            raise _NotOnnx
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield number, wire, value, at
            continue
        length = _FIXED.get(wire, 0)
        if wire == _BYTES:
            length, at = _varint(data, at, end)
        if at + length > end:
            raise _NotOnnx
        yield number, wire, at, at + length
        at += length


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _NotOnnx
