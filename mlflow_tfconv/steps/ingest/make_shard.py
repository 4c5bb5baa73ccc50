"""One shard, made of parts of segments."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlflow_tfconv.data.framing import framed
from mlflow_tfconv.data.manifest import Shard, record_digest
from mlflow_tfconv.data.rows import rows_per_record
from mlflow_tfconv.data.shards import Compression, ShardFile, shard_of_file
from mlflow_tfconv.steps.ingest.segments import Segment, read_order
from mlflow_tfconv.steps.ingest.shard_plan import Part, ShardPlan

_READ_BYTES = 1 << 20
_HEADER_BYTES, _FOOTER_BYTES = 12, 4

Bytes = bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMaker:
    """What all shards of a dataset have in common.

    Attributes:
        segments: The folder of the segments.
        output: The folder of the shards.
        compression: Of the shards.
        row_bytes: Size of a row of the layout "block"; None when units are framed records.
    """

    segments: Path
    output: Path
    compression: Compression = ""
    row_bytes: int | None = None

    def make(self, plan: ShardPlan, mixed: Sequence[Segment] = ()) -> Shard:
        """Writes a shard and gives it its name; what it was made of stays.

        Args:
            plan: What it consists of.
            mixed: When it is shuffled, all segments of its split in order.

        Raises:
            DataError: The disk took no more.
        """
        with ShardFile(self.output / plan.name, self.compression) as file:
            if plan.parts:
                for record in self._records(_bytes_of(self.segments, plan.parts)):
                    file.write(record)
                return file.finish(plan.count, int(plan.content, 16))
            units = _mixed_units(self.segments, plan, mixed)
            content = sum(map(self._digest, units))
            for record in self._records(iter(units)):
                file.write(record)
            return file.finish(len(units), content)

    def described(self, plan: ShardPlan) -> Shard:
        """The shard that a whole segment becomes when it is renamed, or has become already."""
        path = self.segments / plan.parts[0].segment
        path = path if path.exists() else self.output / plan.name
        with path.open("rb") as file:
            os.fdatasync(file.fileno())
        return shard_of_file(path, plan.name, plan.count, plan.content)

    def rename(self, plan: ShardPlan) -> None:
        """Gives a whole segment the name of its shard."""
        segment = self.segments / plan.parts[0].segment
        if segment.exists():
            segment.replace(self.output / plan.name)

    def _records(self, data: Iterator[Bytes]) -> Iterator[bytes]:
        if self.row_bytes is None:
            return _joined(data)
        return _framed_rows(data, self.row_bytes * rows_per_record(self.row_bytes))

    def _digest(self, unit: Bytes) -> int:
        bare = unit if self.row_bytes is not None else unit[_HEADER_BYTES:-_FOOTER_BYTES]
        return record_digest(bare)


def _bytes_of(folder: Path, parts: Iterable[Part]) -> Iterator[bytes]:
    for part in parts:
        with (folder / part.segment).open("rb") as file:
            file.seek(part.offset)
            left = part.size_bytes
            while left:
                data = file.read(min(left, _READ_BYTES))
                left -= len(data)
                yield data


def _joined(data: Iterator[Bytes]) -> Iterator[bytes]:
    """The same bytes in fewer, larger pieces."""
    some, size_bytes = [], 0
    for one in data:
        some.append(one)
        size_bytes += len(one)
        if size_bytes >= _READ_BYTES:
            yield b"".join(some)
            some, size_bytes = [], 0
    yield b"".join(some)


def _framed_rows(data: Iterator[Bytes], record_bytes: int) -> Iterator[bytes]:
    rest = bytearray()
    for chunk in data:
        rest += chunk
        while len(rest) >= record_bytes:
            yield framed(bytes(rest[:record_bytes]))
            del rest[:record_bytes]
    if rest:
        yield framed(bytes(rest))


def _mixed_units(folder: Path, plan: ShardPlan, segments: Sequence[Segment]) -> list[memoryview]:
    """The units of a shuffled shard, which are about as many as go into one, in their new order."""
    units: list[memoryview] = []
    places: list[np.ndarray[tuple[int], np.dtype[np.uint64]]] = []
    for segment in segments:
        numbers, ends = read_order(folder, segment)
        first, last = (first_unit_of(numbers, n, plan.of) for n in (plan.number, plan.number + 1))
        edges = [int(ends[first - 1]) if first else 0, *map(int, ends[first:last])]
        with (folder / segment.name).open("rb") as file:
            file.seek(edges[0])
            data = memoryview(file.read(edges[-1] - edges[0]))
        units += [
            data[begin - edges[0] : end - edges[0]] for begin, end in itertools.pairwise(edges)
        ]
        places.append(np.array(numbers[first:last]))
    order = np.argsort(np.concatenate(places), kind="stable")
    return [units[index] for index in order]


def first_unit_of(places: np.ndarray[tuple[int], np.dtype[np.uint64]], number: int, of: int) -> int:
    """Where the units of the shuffled shard `number` begin, among the rising numbers of a segment."""
    begin = 2**64 * number // of
    return len(places) if number == of else int(np.searchsorted(places, np.uint64(begin)))
