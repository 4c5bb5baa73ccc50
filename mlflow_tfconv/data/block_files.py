"""Records of uncompressed shards with the layout "block", read from their places in any order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.data.manifest import Manifest, Shard
from mlflow_tfconv.data.rows import row_bytes, rows_per_record
from mlflow_tfconv.errors import DataError

_HEADER_BYTES = 12  # in front of a record: its length and the checksum of that
_FRAME_BYTES = _HEADER_BYTES + 4  # and behind it the checksum of its data

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class BlockFiles:
    """The records of all shards of a split, numbered one after the other from 0.

    All records of a shard have the same size but the last, so where they lie follows from their
    number. Checksums of records are not looked at, which would take longer than reading them: that
    the content of a shard is the manifest's is known from its digest, and that it does not change
    while it is read from its size and time.

    Attributes:
        paths: The shards.
        counts: Examples in each.
        ends: How many records there are up to the end of each.
        states: Size of each in bytes, and when it was changed last.
        row_bytes: Size of an example.
        per_record: Examples in a record; the last one of a shard may have fewer.
    """

    paths: tuple[Path, ...]
    counts: Numbers
    ends: Numbers
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
        ends = np.cumsum(-(-counts // each), dtype=np.int64)
        return cls(paths, counts, ends, tuple(_state(path.stat()) for path in paths), size, each)

    @property
    def records(self) -> int:
        """How many there are."""
        return int(self.ends[-1])

    def rows(self, numbers: Numbers) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The examples of some records, one after the other.

        Args:
            numbers: Of the records, in any order.

        Returns:
            (examples, row_bytes) uint8.

        Raises:
            DataError: A shard has changed or gone since the stream began.
        """
        shards = np.searchsorted(self.ends, numbers, side="right")
        records = -(-self.counts // self.per_record)
        local = numbers - (self.ends - records)[shards]
        there = np.minimum(self.counts[shards] - local * self.per_record, self.per_record)
        rows = np.empty((int(there.sum()), self.row_bytes), dtype=np.uint8)
        offsets = local * (self.per_record * self.row_bytes + _FRAME_BYTES) + _HEADER_BYTES
        at, free = 0, rows.data.cast("B")
        for shard, offset, count in zip(shards, offsets, there * self.row_bytes, strict=True):
            self._read(int(shard), int(offset), free[at : at + int(count)])
            at += int(count)
        return rows

    def _read(self, shard: int, offset: int, into: memoryview) -> None:
        path = self.paths[shard]
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError as e:
            raise _gone(path, e.strerror or str(e)) from e
        try:
            if _state(os.fstat(handle)) != self.states[shard]:
                raise _gone(path, "its size or time is another")
            while into:
                count = os.preadv(handle, [into], offset)
                if not count:
                    raise _gone(path, "it is shorter")
                into, offset = into[count:], offset + count
        finally:
            os.close(handle)


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
