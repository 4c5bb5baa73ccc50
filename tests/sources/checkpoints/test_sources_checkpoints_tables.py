from __future__ import annotations

import struct

import pytest
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import tensor_bundle_pb2
from tensorflow.core.util import saved_tensor_slice_pb2

from mlflow_tfconv.data.framing import masked_crc32c
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.checkpoints.snappy_block import snappy_block
from mlflow_tfconv.sources.checkpoints.sorted_table import MAGIC, SortedTable
from mlflow_tfconv.sources.checkpoints.tensor_slice import tensor_slice


def test_literals_and_copies_are_uncompressed():
    literal, nine_back_three, six_back_two = b"\x08abc", b"\x09\x03", b"\x16\x02\x00"
    packed = b"\x0f" + literal + nine_back_three + six_back_two
    assert snappy_block(packed) == b"abc" + b"abcabc" + b"bcbcbc"


@pytest.mark.parametrize("data", [b"", b"\x05\x08abc", b"\x04\x09\x03", b"\xff\xff\xff\x7f\x00a"])
def test_what_is_not_snappy_is_refused(data):
    with pytest.raises(ValueError, match=r"it |its "):
        snappy_block(data)


def test_a_compressed_block_is_read(tmp_path):
    block = plain_block([(b"a", b"1" * 40), (b"b", b"2")])
    packed = bytes([len(block)]) + bytes([60 << 2, len(block) - 1]) + block
    path = write_table(tmp_path / "t", [packed], kind=1)
    assert list(SortedTable(path).entries()) == [(b"a", b"1" * 40), (b"b", b"2")]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"shape": [1 << 40]}, "its shape takes"),
        ({"size": 1 << 50, "dtype": types_pb2.DT_STRING}, "bytes are missing"),
        ({"shard_id": 7}, "its place is impossible"),
        ({"offset": -1}, "its place is impossible"),
        ({"dtype": 999}, "type number 999 is unknown"),
        ({"shape": [-1]}, "its shape is unknown"),
    ],
)
def test_an_index_that_lies_with_right_checksums_is_refused(change, says, tmp_path):
    shape = change.pop("shape", [2])
    entry = tensor_bundle_pb2.BundleEntryProto(dtype=types_pb2.DT_FLOAT, size=8)
    for size in shape:
        entry.shape.dim.add(size=size)
    for name, value in change.items():
        setattr(entry, name, value)
    header = tensor_bundle_pb2.BundleHeaderProto(num_shards=1)
    write_table(tmp_path / "m.index", [plain_block([(b"", header), (b"v", entry)])])
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(8))
    with pytest.raises(ConversionError, match=says):
        CheckpointReader(tmp_path / "m")


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (1, 2), (0, 3), (3, None)])
def test_a_slice_beyond_its_tensor_is_refused(start, length, tmp_path):
    entry = tensor_bundle_pb2.BundleEntryProto(dtype=types_pb2.DT_FLOAT)
    entry.shape.dim.add(size=2)
    extent = entry.slices.add().extent.add(start=start)
    if length is not None:
        extent.length = length
    header = tensor_bundle_pb2.BundleHeaderProto(num_shards=1)
    write_table(tmp_path / "m.index", [plain_block([(b"", header), (b"v", entry)])])
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(8))
    with pytest.raises(ConversionError, match="a slice of it is not within its shape"):
        CheckpointReader(tmp_path / "m")


def test_a_v1_file_that_claims_more_than_it_can_hold_is_refused(tmp_path):
    saved = saved_tensor_slice_pb2.SavedTensorSlices()
    tensor = saved.meta.tensor.add(name="v", type=types_pb2.DT_FLOAT)
    tensor.shape.dim.add(size=1 << 40)
    tensor.slice.add().extent.add()
    write_table(tmp_path / "old", [plain_block([(b"", saved)])])
    with pytest.raises(ConversionError, match="more than the file can hold"):
        CheckpointReader(tmp_path / "old")


@pytest.mark.parametrize("text", ["4 3", "4 3 0,2", "4 3 3,2:-", "4 3 a,2:-", "4 3 -1,2:-"])
def test_an_impossible_part_is_refused(text):
    with pytest.raises(ValueError, match=r"no part|values|argument|literal"):
        tensor_slice(text)


def test_a_part_is_written_as_tensorflow_reads_it():
    part = tensor_slice("4 3 1,2:-")
    assert str(part) == "4 3 1,2:0,3"
    assert tf.zeros([4, 3])[part.index].shape == part.sizes
    assert tensor_slice("") is None


def plain_block(entries):
    body = b""
    for key, value in entries:
        value = value.SerializeToString() if isinstance(value, Message) else value
        body += b"\0" + varint(len(key)) + varint(len(value)) + key + value
    return body + struct.pack("<II", 0, 1)


def write_table(path, blocks, *, kind=0):
    data, places = b"", []
    for block in blocks:
        places.append(varint(len(data)) + varint(len(block)))
        data += framed(block, kind)
    index = plain_block([(b"\xff", place) for place in places])
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(index))
    path.write_bytes(data + framed(index, 0) + footer.ljust(40, b"\0") + MAGIC)
    return path


def framed(block, kind):
    typed = block + bytes([kind])
    return typed + struct.pack("<I", masked_crc32c(typed))


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])
