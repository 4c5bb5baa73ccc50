"""What a piece of the data became: files of units in the work folder, from which shards are made.

A unit is an example as the shards hold it: a framed record, or a row of the layout "block". With
`ingest.shuffle` every unit has a random number, and a segment holds its units in their order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mlflow_tfconv.data.manifest import content_of
from mlflow_tfconv.data.shards import Disk
from mlflow_tfconv.steps.ingest.digests import Digests

_RUNS_OF_A_SHARD = 64
_MOST_BUFFERED_BYTES = 64_000_000
_OBJECT_BYTES = 100  # what a unit in memory takes beside its bytes

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """Some units in a row: where a segment may be cut.

    Attributes:
        size_bytes: Of these units.
        count: How many they are.
        content: Sum of their digests, see `Shard.content`.
    """

    size_bytes: int
    count: int
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A file of units.

    Attributes:
        name: Its name in the folder of segments.
        runs: What it holds, in order; of a shuffled one nothing is known, see `read_order`.
        size_bytes: Of the file.
        count: Number of units.
        full: Whether it ended because it had the size of a shard, and not because its piece did.
    """

    name: str
    runs: tuple[Run, ...]
    size_bytes: int
    count: int
    full: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Segment:
        """The inverse of `to_json`."""
        return cls(**{**data, "runs": tuple(Run(**run) for run in data["runs"])})


class SegmentWriter:
    """Writes the units of one piece and split in the order they come."""

    def __init__(self, disk: Disk, stem: str, shard_bytes: int) -> None:
        self._disk, self._stem = disk, stem
        self._shard_bytes = shard_bytes
        self._run_bytes = shard_bytes // _RUNS_OF_A_SHARD
        self._file: BinaryIO | None = None
        self._runs: list[Run] = []
        self._size_bytes = 0
        self._count = self._run_size = self._content = 0  # of the present run
        self._done: list[Segment] = []

    def write(self, unit: bytes, digest: int) -> None:
        """Adds a unit; `digest` is what it adds to the content.

        Raises:
            DataError: The disk took no more.
        """
        if self._size_bytes and len(unit) > self._left:
            self._end(full=True)
        self._append(unit, 1, digest)

    def write_all(self, units: Sequence[bytes], digests: Digests) -> None:
        """Adds units as `write` does one by one.

        Args:
            units: Some.
            digests: What each adds to the content.

        Raises:
            DataError: The disk took no more.
        """
        ends = np.cumsum([0, *map(len, units)])
        first = 0
        while first < len(units):
            begun = int(ends[first])
            if self._size_bytes and begun + self._left < ends[first + 1]:
                self._end(full=True)
            # All that go into the shard, and no more than complete the run; one goes in any case.
            last = int(np.searchsorted(ends, begun + self._left, side="right")) - 1
            run_left = self._run_bytes - self._run_size
            last = min(last, int(np.searchsorted(ends, begun + run_left)))
            last = max(last, first + 1)
            self._append(b"".join(units[first:last]), last - first, digests.total(first, last))
            first = last

    def finish(self) -> tuple[Segment, ...]:
        """All segments, complete on disk."""
        self._end(full=False)
        return tuple(self._done)

    def close(self) -> None:
        """Lets go of a file that was not finished."""
        if self._file is not None:
            with suppress(OSError):  # what a full disk did not take can't be written now either
                self._file.close()
            (self._disk.folder / self._name).unlink(missing_ok=True)

    @property
    def _name(self) -> str:
        return f"{self._stem}-{len(self._done):05d}"

    @property
    def _left(self) -> int:
        """What the present shard takes yet."""
        return self._shard_bytes - self._size_bytes

    def _append(self, data: bytes, count: int, content: int) -> None:
        with self._disk.writing():
            if self._file is None:
                self._file = (self._disk.folder / self._name).open("wb", buffering=1 << 20)
            self._file.write(data)
        self._size_bytes += len(data)
        self._run_size += len(data)
        self._count += count
        self._content += content
        if self._run_size >= self._run_bytes:
            self._end_run()

    def _end_run(self) -> None:
        if self._count:
            self._runs.append(Run(self._run_size, self._count, content_of(self._content)))
        self._count = self._run_size = self._content = 0

    def _end(self, *, full: bool) -> None:
        self._end_run()
        if self._file is None:
            return
        with self._disk.writing():
            self._file.close()
        self._done.append(
            Segment(
                name=self._name,
                runs=tuple(self._runs),
                size_bytes=self._size_bytes,
                count=sum(run.count for run in self._runs),
                full=full,
            )
        )
        self._file, self._runs, self._size_bytes = None, [], 0


class ShuffledSegmentWriter:
    """Writes units in the order of their random numbers, as many together as memory should hold."""

    def __init__(self, disk: Disk, stem: str, shard_bytes: int) -> None:
        self._disk, self._stem = disk, stem
        self._most_bytes = min(shard_bytes, _MOST_BUFFERED_BYTES)
        self._units: list[bytes] = []
        self._places: list[int] = []
        self._size_bytes = self._held_bytes = 0
        self._done: list[Segment] = []

    def write(self, unit: bytes, place: int) -> None:
        """Adds a unit with its random number, 0 to 2**64 - 1.

        Raises:
            DataError: The disk took no more.
        """
        self._units.append(unit)
        self._places.append(place)
        self._size_bytes += len(unit)
        self._held_bytes += len(unit) + _OBJECT_BYTES
        if self._held_bytes >= self._most_bytes:
            self._write_out()

    def write_all(self, units: Sequence[bytes], places: Sequence[int]) -> None:
        """Adds units with their random numbers.

        Raises:
            DataError: The disk took no more.
        """
        for unit, place in zip(units, places, strict=True):
            self.write(unit, place)

    def finish(self) -> tuple[Segment, ...]:
        """All segments, complete on disk."""
        if self._units:
            self._write_out()
        return tuple(self._done)

    def close(self) -> None:
        """Lets go of what was not finished."""
        self._units.clear()

    def _write_out(self) -> None:
        name = f"{self._stem}-{len(self._done):05d}"
        places = np.array(self._places, np.uint64)
        order = np.argsort(places, kind="stable")
        ends = np.cumsum(np.array([len(unit) for unit in self._units], np.uint64)[order])
        with self._disk.writing(), (self._disk.folder / name).open("wb", 1 << 20) as file:
            file.writelines(self._units[index] for index in order)
            np.save(self._disk.folder / f"{name}.npy", np.stack([places[order], ends]))
        segment = Segment(
            name=name, runs=(), size_bytes=self._size_bytes, count=len(order), full=False
        )
        self._done.append(segment)
        self._units, self._places = [], []
        self._size_bytes = self._held_bytes = 0


def read_order(folder: Path, segment: Segment) -> tuple[Array, Array]:
    """Of a shuffled segment: the units' random numbers, which rise, and where each unit ends."""
    places, ends = np.load(folder / f"{segment.name}.npy", mmap_mode="r", allow_pickle=False)
    return places, ends


def files_of(segment: Segment, *, shuffled: bool) -> Iterator[str]:
    """The names of a segment's files."""
    yield segment.name
    if shuffled:
        yield f"{segment.name}.npy"
