"""Rows and records of uncompressed shards with the layout "block", read from their places."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.data.manifest import Manifest, Shard
from mlflow_tfconv.data.rows import row_bytes, rows_per_record
from mlflow_tfconv.errors import DataError

_HEADER_BYTES = 12  # in front of a record: its length and the checksum of that
_FRAME_BYTES = _HEADER_BYTES + 4  # and behind it the checksum of its data
_OPEN_FILES = 128
_ALIGNMENT_BYTES = 64

Numbers = np.ndarray[Any, np.dtype[np.int64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class BlockFiles:
    """The records of all shards of a split, and the examples in them, numbered from 0.

    All records of a shard have the same size but the last, so where they lie follows from their
    number. Checksums of records are not looked at, which would take longer than reading them: that
    the content of a shard is the manifest's is known from its digest, and that it does not change
    while it is read from its size and time.

    Attributes:
        paths: The shards.
        counts: Examples in each.
        records: Records in each.
        states: Size of each in bytes, and when it was changed last.
        row_bytes: Size of an example.
        per_record: Examples in a record; the last one of a shard may have fewer.
    """

    paths: tuple[Path, ...]
    counts: Numbers
    records: Numbers
    states: tuple[tuple[int, int], ...]
    row_bytes: int
    per_record: int

    @classmethod
    def of(cls, manifest: Manifest, split: str) -> BlockFiles:
        """Those of a split.

        Raises:
            DataError: A shard can't hold as many examples as the manifest says.
        """
        size = row_bytes(manifest.schema)
        each = rows_per_record(size)
        shards = [shard for shard in manifest.splits[split] if shard.count]
        for shard in shards:
            _check_size(shard, size, each)
        paths = tuple(manifest.folder / shard.path for shard in shards)
        counts = np.array([shard.count for shard in shards], dtype=np.int64)
        states = tuple(_state(path.stat()) for path in paths)
        return cls(paths, counts, -(-counts // each), states, size, each)

    def examples_in(self, records: Numbers) -> Numbers:
        """The numbers of the examples in some records, one record after the other."""
        shards, local = _places(self.records, records)
        begins = (np.cumsum(self.counts) - self.counts)[shards] + local * self.per_record
        there = self._rows_in(shards, local)
        after = np.repeat(np.cumsum(there) - there, there)
        return np.repeat(begins, there) + np.arange(there.sum(), dtype=np.int64) - after

    def rows(self, records: Numbers) -> Bytes:
        """The rows of some records, one record after the other, (rows, row_bytes).

        Raises:
            DataError: A shard has changed or gone since the stream began.
        """
        shards, local = _places(self.records, records)
        there = self._rows_in(shards, local)
        rows = _empty(int(there.sum()), self.row_bytes)
        ends = np.cumsum(there * self.row_bytes).tolist()
        free = rows.data.cast("B")
        into = ([free[begin:end]] for begin, end in zip([0, *ends], ends, strict=False))
        self._read(shards, self._offsets(local, 0), into)
        return rows

    def columns(self, examples: Numbers, columns: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Some columns of the rows of some examples, each (examples, its bytes).

        Args:
            examples: Their numbers.
            columns: Where each begins and ends in a row, rising; in bytes.

        Raises:
            DataError: A shard has changed or gone since the stream began.
        """
        shards, local = _places(self.counts, examples)
        offsets = self._offsets(local // self.per_record, local % self.per_record)
        arrays, parts = [], []
        at = columns[0][0]
        for begin, end in columns:
            if begin > at:
                parts.append((memoryview(bytearray(begin - at)), 0))
            array = _empty(len(examples), end - begin)
            arrays.append(array)
            parts.append((array.data.cast("B"), end - begin))
            at = end
        self._read(shards, offsets + columns[0][0], _slices(parts, len(examples)))
        return arrays

    def _rows_in(self, shards: Numbers, local: Numbers) -> Numbers:
        left: Numbers = self.counts[shards] - local * self.per_record
        return np.minimum(left, self.per_record)

    def _offsets(self, records: Numbers, rows: Numbers | int) -> Numbers:
        frame = self.per_record * self.row_bytes + _FRAME_BYTES
        return records * frame + _HEADER_BYTES + rows * self.row_bytes

    def _read(self, shards: Numbers, offsets: Numbers, into: Iterator[list[memoryview]]) -> None:
        files = {int(shard): self._open(int(shard)) for shard in np.unique(shards)}
        for shard, offset, buffers in zip(shards.tolist(), offsets.tolist(), into, strict=True):
            wanted = sum(map(len, buffers))
            if os.preadv(files[shard].handle, buffers, offset) != wanted:
                raise _gone(self.paths[shard], "it is shorter")

    def _open(self, shard: int) -> _OpenFile:
        path = self.paths[shard]
        try:
            file = _opened(path, self.states[shard])
        except OSError as e:
            raise _gone(path, e.strerror or str(e)) from e
        if _state(os.fstat(file.handle)) != self.states[shard]:
            raise _gone(path, "its size or time is another")
        return file


class _OpenFile:
    """A file that is closed when nobody reads it any more.

    Attributes:
        handle: Of the operating system.
    """

    def __init__(self, path: Path) -> None:
        self.handle = -1
        self.handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)


@lru_cache(maxsize=_OPEN_FILES)
def _opened(path: Path, state: tuple[int, int]) -> _OpenFile:  # noqa: ARG001 (another state, another file)
    return _OpenFile(path)


def _empty(count: int, size_bytes: int) -> Bytes:
    """Memory for so many rows, placed so that TensorFlow takes it as it is; else it makes a copy."""
    whole = np.empty(count * size_bytes + _ALIGNMENT_BYTES, dtype=np.uint8)
    begin = -whole.ctypes.data % _ALIGNMENT_BYTES
    return whole[begin : begin + count * size_bytes].reshape(count, size_bytes)


def _places(counts: Numbers, numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Which shard each number is of, and its number there."""
    ends = np.cumsum(counts)
    shards = np.searchsorted(ends, numbers, side="right")
    return shards, numbers - (ends - counts)[shards]


def _slices(parts: Sequence[tuple[memoryview, int]], count: int) -> Iterator[list[memoryview]]:
    """The buffers of each example in turn; those of the size 0 are always the same."""
    for at in range(count):
        yield [part[at * size : (at + 1) * size] if size else part for part, size in parts]


def _state(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _check_size(shard: Shard, size_bytes: int, per_record: int) -> None:
    records = -(-shard.count // per_record)
    expected = shard.count * size_bytes + records * _FRAME_BYTES
    if shard.size_bytes != expected:
        raise DataError(
            f"The shard {shard.path} does not have the layout `block` that its manifest says.",
            received=f"{shard.size_bytes} bytes",
            expected=f"{expected} bytes for {shard.count} examples of {size_bytes} bytes",
            fix="Run the step `ingest` again.",
        )


def _gone(path: Path, what: str) -> DataError:
    return DataError(
        f"The shard {path} has changed while it was read.",
        received=what,
        fix="Run the step `ingest` again, then read from the start.",
    )
