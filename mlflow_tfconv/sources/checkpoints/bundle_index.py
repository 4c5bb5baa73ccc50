"""What the .index file of a V2 checkpoint says, checked against its .data files.

Each entry is a `BundleEntryProto`: type, shape, and where the bytes lie. A tensor saved in slices
has an entry with their extents, and one entry a slice under a key that begins with a zero byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import tensor_bundle_pb2

from mlflow_tfconv.sources.checkpoints.damaged_file import (
    damaged_file,
    missing_file,
    require_content,
)
from mlflow_tfconv.sources.checkpoints.sorted_table import SortedTable
from mlflow_tfconv.sources.checkpoints.stored_tensor import (
    StoredTensor,
    bytes_of,
    dtype_name,
    shape_of,
)


def tensors_of_bundle(prefix: Path) -> dict[str, StoredTensor]:
    """Key to what is stored under it; nothing of the .data files is read but their sizes.

    Raises:
        ConversionError: The .index file is missing, cut off or altered, or a .data file is
            missing or shorter than the .index file says.
    """
    index = prefix.with_name(f"{prefix.name}.index")
    if not index.is_file():
        raise missing_file(index, "lists what the checkpoint holds")
    header, entries = _messages(index)
    shards = [_shard(prefix, number, header.num_shards) for number in range(header.num_shards)]
    for name, entry in entries.items():
        _require_consistent(index, name, entry, header.num_shards)
    _require_bytes(shards, entries)
    files = _files(shards, entries)
    return {
        name.decode("utf-8", "replace"): StoredTensor(
            dtype=dtype_name(entry.dtype),
            shape=shape_of(entry.shape),
            in_slices=bool(entry.slices),
            files=tuple(sorted(files[name])),
        )
        for name, entry in entries.items()
        if not name.startswith(b"\0")
    }


def _messages(index: Path) -> tuple[Any, dict[bytes, Any]]:
    table = list(SortedTable(index).entries())
    if not table or table[0][0]:
        raise damaged_file(index, "its first entry does not describe the checkpoint")
    try:
        header = tensor_bundle_pb2.BundleHeaderProto.FromString(table[0][1])
        read = tensor_bundle_pb2.BundleEntryProto.FromString
        entries = {key: read(value) for key, value in table[1:]}
    except DecodeError as error:
        raise damaged_file(index, "an entry can't be read") from error
    if not 0 < header.num_shards < 100_000:
        raise damaged_file(index, f"it speaks of {header.num_shards} .data files")
    return header, entries


def _require_consistent(index: Path, name: bytes, entry: Any, shards: int) -> None:
    """Type, shape and number of bytes belong together: TensorFlow allocates by the shape."""
    try:
        needed = bytes_of(dtype_name(entry.dtype), shape_of(entry.shape))
        if entry.offset < 0 or entry.size < 0 or not 0 <= entry.shard_id < shards:
            raise ValueError("its place is impossible")
        if not entry.slices and needed not in (None, entry.size):
            raise ValueError(f"its shape takes {needed:,} bytes, {entry.size:,} are stored")
        for part in entry.slices:
            _require_within(part, shape_of(entry.shape))
    except ValueError as error:
        raise damaged_file(index, f"the entry of {_readable(name)}: {error}") from error


def _require_within(part: Any, shape: tuple[int, ...]) -> None:
    """An extent without a length is the whole dimension."""
    for extent, size in zip(part.extent, shape, strict=True):
        length = extent.length if extent.HasField("length") else size
        whole = not extent.HasField("length") and not extent.start
        if not whole and not 0 <= extent.start <= extent.start + length <= size:
            raise ValueError("a slice of it is not within its shape")


def _require_bytes(shards: list[Path], entries: dict[bytes, Any]) -> None:
    ends: dict[int, dict[int, bytes]] = {}
    for name, entry in entries.items():
        if entry.size and not entry.slices:
            ends.setdefault(entry.shard_id, {})[entry.offset + entry.size] = name
    for number, names in ends.items():
        shard, end = shards[number], max(names)
        if not shard.is_file():
            raise missing_file(shard, f"holds the values of {len(names)} tensors")
        size = require_content(shard).stat().st_size
        if end > size:
            raise damaged_file(
                shard,
                f"it is too short: {end - size:,} bytes are missing, the last of them belong to "
                f"{_readable(names[end])}",
            )


def _files(shards: list[Path], entries: dict[bytes, Any]) -> dict[bytes, set[Path]]:
    """The files of each tensor; those of a tensor in slices are its slices'."""
    files: dict[bytes, set[Path]] = {name: set() for name in entries}
    for name, entry in entries.items():
        if not entry.slices:
            files.setdefault(_whole(name), set()).add(shards[entry.shard_id])
    return files


def _shard(prefix: Path, number: int, count: int) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{count:05d}")


def _whole(name: bytes) -> bytes:
    """The tensor's name in the key of a slice: escaped, and ended by 0 and 1."""
    if not name.startswith(b"\0"):
        return name
    escaped = name[1:].split(b"\0\1")[0]
    return escaped.replace(b"\0\xff", b"\0").replace(b"\xff\0", b"\xff")


def _readable(name: bytes) -> str:
    return _whole(name).decode("utf-8", "replace")
