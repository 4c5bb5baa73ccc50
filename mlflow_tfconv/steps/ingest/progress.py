"""How far the reading and the writing are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any

from mlflow_tfconv.engine.events import Emit, Progress

_EVERY_S = 0.25


class ReadingProgress:
    """Tells how much of the pieces was read, at what rate, and how long the rest will take.

    In MB where the size of all pieces is known, else in pieces, and of a single one in examples.
    """

    def __init__(self, sizes: list[int | None], emit: Emit) -> None:
        self._emit = emit
        self._sizes = sizes
        self._total_bytes = None if None in sizes else sum(size or 0 for size in sizes)
        self._under_way: dict[int, tuple[int, int]] = {}
        self._done: dict[int, int] = {}
        self._kept = 0
        self._begun = self._told = time.monotonic()

    def kept(self, index: int, examples: int) -> None:
        """A piece was read by an earlier run."""
        self._kept += examples
        self._done[index] = examples

    def under_way(self, index: int, examples: int, size_bytes: int) -> None:
        """A piece has given so many examples, which take so many bytes."""
        self._under_way[index] = (examples, size_bytes)
        if time.monotonic() - self._told > _EVERY_S:
            self._tell()

    def done(self, index: int, examples: int) -> None:
        """A piece was read to its end."""
        self._under_way.pop(index, None)
        self._done[index] = examples
        if time.monotonic() - self._told > _EVERY_S:
            self._tell()

    def end(self) -> None:
        """All was read."""
        count = self._examples
        self._emit(Progress(label="examples", done=count, total=count, detail=self._rate()))

    @property
    def _examples(self) -> int:
        return sum(self._done.values()) + sum(count for count, _ in self._under_way.values())

    def _tell(self) -> None:
        self._told = time.monotonic()
        detail = f"{self._examples:,} examples {self._rate()}"
        if self._total_bytes:
            done = round(self._bytes_done() / 1e6, 1)
            total = round(self._total_bytes / 1e6, 1)
            self._emit(Progress(label="MB read", done=done, total=total, detail=detail))
        elif len(self._sizes) > 1:
            done, total = len(self._done), len(self._sizes)
            self._emit(Progress(label="parts read", done=done, total=total, detail=detail))
        else:
            self._emit(Progress(label="examples", done=self._examples, detail=self._rate()))

    def _bytes_done(self) -> int:
        """What pieces give is about their size: one under way is never more than done."""
        whole = sum(self._sizes[index] or 0 for index in self._done)
        return whole + sum(
            min(found, self._sizes[index] or 0) for index, (_, found) in self._under_way.items()
        )

    def _rate(self) -> str:
        seconds = time.monotonic() - self._begun
        return f"{(self._examples - self._kept) / max(seconds, 1e-3):,.0f}/s"


class MakingProgress:
    """Tells how many shards there are already; of a few that are there at once nothing is told."""

    def __init__(self, total: int, emit: Emit) -> None:
        self._emit = emit
        self._done, self._total = 0, total
        self._told = time.monotonic()

    def done(self) -> None:
        """One more is there."""
        self._done += 1
        if time.monotonic() - self._told > _EVERY_S:
            self._told = time.monotonic()
            self._emit(Progress(label="shards", done=self._done, total=self._total))


def counted(examples: Iterable[Any], emit: Emit, label: str = "examples") -> Iterator[Any]:
    """The same examples; now and then, and at the end, a Progress event tells their number."""
    total = len(examples) if isinstance(examples, Sized) else None
    done, told = 0, time.monotonic()
    for example in examples:
        yield example
        done += 1
        if time.monotonic() - told > _EVERY_S:
            emit(Progress(label=label, done=done, total=total))
            told = time.monotonic()
    emit(Progress(label=label, done=done, total=done))
