"""What an arena takes for a sequence of requests: more than is ever in use at a time.

ONNX Runtime's arena is a best-fit allocator with coalescing: it rounds sizes up, does not split a
chunk that is less than twice too large, and grows by regions that double. After the first run with
a shape it plans one block for all inner values, which seldom fits into what the first run has left.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

Strategy = Literal["next_power_of_two", "same_as_requested"]
_ALIGNMENT = 256
_FIRST_REGION = 1 << 20
_LARGEST_DOUBLING = 1 << 30
_SPLIT_ANYWAY = 128 << 20  # a chunk that is this much too large is split in any case

Requests = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaSize:
    """What an arena has taken in the end, in bytes.

    Attributes:
        reserved: All its regions: what a GPU's memory loses to it.
        touched: What of them was ever handed out: what a host's resident memory grows by.
    """

    reserved: int
    touched: int


@dataclass(slots=True)
class _Chunk:
    start: int
    size: int
    free: bool = True


@dataclass(slots=True)
class _Region:
    size: int
    chunks: list[_Chunk]
    touched: list[tuple[int, int]] = field(default_factory=list)

    def touched_bytes(self) -> int:
        """The pieces that were handed out, each counted once."""
        total, end = 0, 0
        for start, stop in sorted(self.touched):
            total += max(stop - max(start, end), 0)
            end = max(end, stop)
        return total


@dataclass(slots=True)
class _Arena:
    strategy: Strategy
    regions: list[_Region] = field(default_factory=list)
    held: dict[str, tuple[_Region, _Chunk]] = field(default_factory=dict)
    _next: int = _FIRST_REGION

    def take(self, value: str, size: int) -> None:
        """Hands out memory."""
        rounded = max(-(-size // _ALIGNMENT) * _ALIGNMENT, _ALIGNMENT)
        found = self._best(rounded)
        if found is None:
            self._extend(rounded)
            found = self._best(rounded)
        assert found is not None  # noqa: S101 (the new region is large enough)
        region, chunk = found
        if chunk.size >= 2 * rounded or chunk.size - rounded >= _SPLIT_ANYWAY:
            rest = _Chunk(chunk.start + rounded, chunk.size - rounded)
            region.chunks.insert(region.chunks.index(chunk) + 1, rest)
            chunk.size = rounded
        chunk.free = False
        region.touched.append((chunk.start, chunk.start + size))
        self.held[value] = found

    def give_back(self, value: str) -> None:
        """Takes memory back, and joins it with what is free beside it."""
        region, chunk = self.held.pop(value)
        chunk.free = True
        place = region.chunks.index(chunk)
        for left in (place, place - 1):
            if 0 <= left < len(region.chunks) - 1:
                first, second = region.chunks[left : left + 2]
                if first.free and second.free:
                    first.size += second.size
                    del region.chunks[left + 1]

    def _best(self, size: int) -> tuple[_Region, _Chunk] | None:
        fitting = [
            (region, chunk)
            for region in self.regions
            for chunk in region.chunks
            if chunk.free and chunk.size >= size
        ]
        return min(fitting, key=lambda found: found[1].size, default=None)

    def _extend(self, size: int) -> None:
        taken = size
        if self.strategy == "next_power_of_two" and size <= _LARGEST_DOUBLING:
            grown = False
            while self._next < size:
                self._next, grown = self._next * 2, True
            taken = self._next
            if not grown:
                self._next = min(self._next * 2, _LARGEST_DOUBLING)
        self.regions.append(_Region(taken, [_Chunk(0, taken)]))


def arena_size(
    requests: Requests, outputs: Collection[str], *, strategy: Strategy = "next_power_of_two"
) -> ArenaSize:
    """Plays two runs: the first as it comes, the second with a planned block for inner values.

    Args:
        requests: `LiveSet.requests` of one run.
        outputs: Values that the caller gets: they are given back before the next run.
        strategy: How the arena grows.
    """
    arena = _Arena(strategy)
    _play(arena, requests)
    inner = [(value, size) for value, size in requests if value not in outputs and size]
    block = _planned_bytes(inner)
    if block:
        arena.take("", block)
    _play(arena, [(value, size) for value, size in requests if value in outputs])
    return ArenaSize(
        reserved=sum(region.size for region in arena.regions),
        touched=sum(region.touched_bytes() for region in arena.regions),
    )


def _play(arena: _Arena, requests: Requests) -> None:
    mine = set()
    for value, size in requests:
        if value in mine:
            arena.give_back(value)
            mine.discard(value)
        elif size:
            arena.take(value, size)
            mine.add(value)
    for value in mine:
        arena.give_back(value)


def _planned_bytes(requests: Requests) -> int:
    """The block into which all values fit: each takes the tightest gap that is free in its time."""
    placed: dict[str, tuple[int, int]] = {}
    largest = 0
    for value, size in requests:
        if value in placed:
            del placed[value]
            continue
        rounded = -(-size // _ALIGNMENT) * _ALIGNMENT
        start = _tightest_gap(sorted(placed.values()), rounded)
        placed[value] = (start, start + rounded)
        largest = max(largest, start + rounded)
    return largest


def _tightest_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    best, waste, end = None, 0, 0
    for start, stop in taken:
        room = start - end
        if room >= size and (best is None or room - size < waste):
            best, waste = end, room - size
        end = max(end, stop)
    return end if best is None else best
