"""How far the reading and the writing are."""

from __future__ import annotations

import time

from mlflow_tfconv.engine.events import Emit, Progress
from mlflow_tfconv.engine.overview import duration

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
        self._kept_share = 0.0
        self._begun = self._told = time.monotonic()

    def kept(self, index: int, examples: int) -> None:
        """A piece was read by an earlier run."""
        self._kept += examples
        self._done[index] = examples
        self._kept_share = self._share()

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
        if self._total_bytes:
            self._tell_of("MB read", self._bytes_done() / 1e6, self._total_bytes / 1e6)
        elif len(self._sizes) > 1:
            self._tell_of("parts read", len(self._done), len(self._sizes))
        else:
            self._emit(Progress(label="examples", done=self._examples, detail=self._rate()))

    def _tell_of(self, label: str, done: float, total: float) -> None:
        left, share = "", self._share()
        if share > self._kept_share:
            seconds = time.monotonic() - self._begun
            rest_s = seconds * (1 - share) / (share - self._kept_share)
            left = f", {duration(rest_s)} left"
        detail = f"{self._examples:,} examples, {self._rate()}{left}"
        self._emit(Progress(label=label, done=round(done, 1), total=round(total, 1), detail=detail))

    def _share(self) -> float:
        """How much of the whole was read, 0 to 1."""
        if self._total_bytes:
            return self._bytes_done() / self._total_bytes
        return len(self._done) / len(self._sizes)

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
