"""Writes an ONNX model whose weights are held elsewhere: one after the other, straight into a file.

Protobuf can't carry more than 2 GiB, and takes the memory of a message several times over to write
it. So the message is written piece by piece here, as protobuf's encoding has it: a field is its
number and type, then for text, bytes and messages the length and the content.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx

from mlflow_tfconv.exporters.held_array import HeldArray
from mlflow_tfconv.exporters.held_tensors import HeldTensors
from mlflow_tfconv.formats.model_files import own_data

#: Most bytes of one file; protobuf's limit is 2 GiB - 1, other tools need a little of it.
MOST_FILE_BYTES = 2**31 - 2**20
#: External data starts at pages, so that a runtime can map it into memory.
_PAGE_BYTES = 4096

_GRAPH_OF_MODEL = onnx.ModelProto.DESCRIPTOR.fields_by_name["graph"].number
_INITIALIZER_OF_GRAPH = onnx.GraphProto.DESCRIPTOR.fields_by_name["initializer"].number
_DATA_OF_TENSOR = onnx.TensorProto.DESCRIPTOR.fields_by_name["raw_data"].number


@dataclass(frozen=True, slots=True)
class Weight:
    """An initializer without values, and the array that holds them."""

    tensor: onnx.TensorProto
    array: HeldArray


def write_onnx(
    model: onnx.ModelProto,
    weights: Sequence[Weight],
    path: Path,
    *,
    most_file_bytes: int | None = None,
) -> None:
    """Writes the model as one file, or as `path` and `path` + ".data" where it is too large.

    Nothing is left of a file that could not be finished.

    Args:
        model: The model without these weights.
        weights: Further initializers of its graph.
        path: The file.
        most_file_bytes: Above this, weights go into the second file; None is MOST_FILE_BYTES.
    """
    skeleton = _Skeleton.of(model, weights)
    data = own_data(path)
    written = [path]
    try:
        if not weights or skeleton.size_bytes <= (most_file_bytes or MOST_FILE_BYTES):
            _write_one_file(skeleton, weights, path)
        else:
            written.append(data)
            _write_with_data(model, weights, path, data)
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise


def weights_taken(graph: onnx.GraphProto, tensors: HeldTensors) -> list[Weight]:
    """Takes all tags out of a graph and the graphs in it, in their order.

    Args:
        graph: The graph of a model; changed in place.
        tensors: What the tags stand for.
    """
    taken = []
    kept = []
    for tensor in graph.initializer:
        array = tensors.held(tensor)
        if array is None:
            kept.append(tensor)
        else:
            taken.append(Weight(_without_tag(tensor), array))
    kept = [_copied(tensor) for tensor in kept]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in graph.node:
        for body in _bodies(node):
            # A body sees the names around it, so its weights may lie in the graph itself.
            taken += weights_taken(body, tensors)
    return taken


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _copied(tensor: onnx.TensorProto) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    return copy


def _without_tag(tensor: onnx.TensorProto) -> onnx.TensorProto:
    copy = _copied(tensor)
    del copy.external_data[:]
    copy.ClearField("data_location")
    return copy


@dataclass(frozen=True, slots=True)
class _Skeleton:
    """Everything of a file but the values of its weights.

    Attributes:
        before: What precedes the weights.
        headers: What precedes the values of each weight.
        size_bytes: Of the whole file.
    """

    before: bytes
    headers: list[bytes]
    size_bytes: int

    @classmethod
    def of(cls, model: onnx.ModelProto, weights: Sequence[Weight]) -> _Skeleton:
        """The skeleton of a model whose weights were taken out."""
        graph: bytes = model.graph.SerializeToString(deterministic=True)
        outside = onnx.ModelProto()
        outside.CopyFrom(model)
        outside.ClearField("graph")
        headers = [_header(weight) for weight in weights]
        values = sum(weight.array.nbytes for weight in weights)
        graph_bytes = len(graph) + sum(map(len, headers)) + values
        before = outside.SerializeToString(deterministic=True)
        before += _key(_GRAPH_OF_MODEL, graph_bytes) + graph
        return cls(before, headers, len(before) + graph_bytes - len(graph))


def _header(weight: Weight) -> bytes:
    tensor: bytes = weight.tensor.SerializeToString(deterministic=True)
    tensor += _key(_DATA_OF_TENSOR, weight.array.nbytes)
    return _key(_INITIALIZER_OF_GRAPH, len(tensor) + weight.array.nbytes) + tensor


def _key(field: int, length: int) -> bytes:
    """The start of a field of `length` bytes."""
    return _varint(field << 3 | 2) + _varint(length)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes((*groups, number))


def _write_one_file(skeleton: _Skeleton, weights: Sequence[Weight], path: Path) -> None:
    with path.open("wb") as file:
        file.write(skeleton.before)
        for header, weight in zip(skeleton.headers, weights, strict=True):
            file.write(header)
            _write_values(file, weight)


def _write_with_data(
    model: onnx.ModelProto, weights: Sequence[Weight], path: Path, data: Path
) -> None:
    with data.open("wb") as file:
        for weight in weights:
            file.write(bytes(-file.tell() % _PAGE_BYTES))
            place = {"location": data.name, "offset": file.tell(), "length": weight.array.nbytes}
            for key, value in place.items():
                weight.tensor.external_data.add(key=key, value=str(value))
            weight.tensor.data_location = onnx.TensorProto.EXTERNAL
            _write_values(file, weight)
    model.graph.initializer.extend(weight.tensor for weight in weights)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _write_values(file: BinaryIO, weight: Weight) -> None:
    values: Any = np.ascontiguousarray(weight.array.values())
    if values.dtype.byteorder == ">":  # as bytes, an ONNX tensor is little-endian
        values = values.astype(values.dtype.newbyteorder("<"))
    file.write(memoryview(values.reshape(-1).view(np.uint8)))
