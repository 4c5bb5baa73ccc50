"""Which shards the segments become: decided by their sizes alone, whoever wrote them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mlflow_tfconv.data.manifest import content_of
from mlflow_tfconv.data.shards import Compression, shard_name
from mlflow_tfconv.steps.ingest.segments import Run, Segment

#: A shard may be this much larger than asked for before two of half the size are better.
_SOMEWHAT_MORE = 1.2


@dataclass(frozen=True, slots=True)
class Part:
    """Some units in a row of a segment.

    Attributes:
        segment: Its name.
        offset: Where they begin, in bytes.
        size_bytes: How long they are.
    """

    segment: str
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """A shard to be made.

    Attributes:
        name: Its file name.
        split: Its split.
        parts: What it consists of, in order; empty when it is shuffled.
        count: Number of its examples; 0 when it is shuffled.
        content: Sum of their digests, see `Shard.content`.
        whole: Whether it is one segment as it stands.
        number: Which of the shards of its split it is.
        of: How many these are. Shuffled, it gets the units whose random numbers lie in the part
            `number` of `of` equal parts.
    """

    name: str
    split: str
    parts: tuple[Part, ...] = ()
    count: int = 0
    content: str = ""
    whole: bool = False
    number: int
    of: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ShardPlan:
        """The inverse of `to_json`."""
        return cls(**{**data, "parts": tuple(Part(**part) for part in data["parts"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How shards are made of segments.

    Attributes:
        shard_bytes: Their size, about, before compression.
        shuffled: Whether the units are to be mixed.
        as_they_are: Whether a segment's bytes are those of a shard, so that it can become one.
        compression: Of the shards.
    """

    shard_bytes: int
    shuffled: bool = False
    as_they_are: bool = True
    compression: Compression = ""

    def plans(self, split: str, segments: Sequence[Segment]) -> tuple[ShardPlan, ...]:
        """The shards of a split: near the size that was asked for, none of them tiny."""
        if self.shuffled:
            of = _number(_size(segments), self.shard_bytes)
            return tuple(self._named(split, number, of) for number in range(of))
        shards = list(self._shards(segments))
        return tuple(
            self._named(split, number, len(shards), tuple(runs))
            for number, runs in enumerate(shards)
        )

    def _shards(self, segments: Sequence[Segment]) -> Iterator[list[_Placed]]:
        """Full segments become shards; what lies between them is put together and cut evenly."""
        groups: list[list[Segment]] = []
        for segment in segments:
            alone = segment.full and self.as_they_are
            if alone or not groups or (groups[-1][-1].full and self.as_they_are):
                groups.append([segment])
            else:
                groups[-1].append(segment)
        joined: list[list[Segment]] = []
        for group in groups:
            if joined and 2 * min(_size(group), _size(joined[-1])) < self.shard_bytes:
                joined[-1] = joined[-1] + group
            else:
                joined.append(group)
        for group in joined:
            yield from _cut_evenly(list(_placed(group)), self.shard_bytes)

    def _named(self, split: str, number: int, of: int, runs: tuple[_Placed, ...] = ()) -> ShardPlan:
        parts = tuple(_parts(runs))
        whole = len(parts) == 1 and parts[0].size_bytes == runs[0].segment.size_bytes
        return ShardPlan(
            name=shard_name(split, number, self.compression),
            split=split,
            parts=parts,
            count=sum(run.run.count for run in runs),
            content=content_of(sum(int(run.run.content, 16) for run in runs)),
            whole=whole and self.as_they_are and not self.compression,
            number=number,
            of=of,
        )


@dataclass(frozen=True, slots=True)
class _Placed:
    """A run, and where it lies."""

    run: Run
    segment: Segment
    offset: int


def _size(segments: Sequence[Segment]) -> int:
    return sum(segment.size_bytes for segment in segments)


def _number(total: int, shard_bytes: int) -> int:
    """How many shards come nearest to the size that was asked for."""
    return max(round(total / shard_bytes), math.ceil(total / (_SOMEWHAT_MORE * shard_bytes)))


def _placed(segments: Sequence[Segment]) -> Iterator[_Placed]:
    for segment in segments:
        offset = 0
        for run in segment.runs:
            yield _Placed(run, segment, offset)
            offset += run.size_bytes


def _cut_evenly(runs: list[_Placed], shard_bytes: int) -> Iterator[list[_Placed]]:
    """As few lists as the size allows, all of about the same size."""
    total = sum(placed.run.size_bytes for placed in runs)
    number = _number(total, shard_bytes)
    ends = [total * (n + 1) / number for n in range(number)]
    shards: list[list[_Placed]] = [[] for _ in ends]
    position, index = 0, 0
    for placed in runs:
        middle = position + placed.run.size_bytes / 2
        while middle > ends[index]:
            index += 1
        shards[index].append(placed)
        position += placed.run.size_bytes
    return (shard for shard in shards if shard)


def _parts(runs: Sequence[_Placed]) -> Iterator[Part]:
    """Neighbouring runs of a segment are one part."""
    for name, some in groupby(runs, key=lambda placed: placed.segment.name):
        found = list(some)
        yield Part(name, found[0].offset, sum(placed.run.size_bytes for placed in found))
