"""Sends queries at given times to threads that answer them: an open loop. Needs numpy only.

A query's latency runs from the moment at which it was due, not from the one at which a thread was
free to take it: a slow answer makes all that wait behind it late ("coordinated omission" is to
leave those out). The queries wait in one line, the first goes to the first thread that is free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.arrivals import Nanoseconds
from mlflow_tfconv.steps.benchmark.worker.clock import Clock, RealClock, wake_sharply
from mlflow_tfconv.steps.benchmark.worker.pinning import spread_out

Call = Callable[[], object]
Ended = Literal["complete", "too_many_late", "out_of_time"]
_HEAD_START_NS = 5_000_000  # for the threads to start


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When a run ends.

    Attributes:
        bound_ns: A query answered later than this after it was due is late.
        allowed_late: More late ones than this end the run at once: it can't pass any more.
        limit_ns: No query is taken later than this after the start.
    """

    bound_ns: float
    allowed_late: int
    limit_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of the queries.

    Attributes:
        times_ns: (answered, 3) int64 nanoseconds since the start: due, taken, answered; in the
            order in which they were due.
        idle: (answered,) whether a thread was waiting for the query when it was due.
        late: Number of late ones.
        ended: Why there are no more.
    """

    times_ns: Nanoseconds
    idle: np.ndarray[Any, np.dtype[np.bool_]]
    late: int
    ended: Ended

    @property
    def latencies_ns(self) -> Nanoseconds:
        """From due to answered."""
        return self.times_ns[:, 2] - self.times_ns[:, 0]

    @property
    def emptied(self) -> bool:
        """Whether the line was ever empty in the second half.

        Where it was not, queries arrive faster than they are answered, even if the run was too short
        for the line to become as long as the bound.
        """
        return bool(self.idle[len(self.idle) // 2 :].any())

    @property
    def wake_up_ns(self) -> float | None:
        """How late a waiting thread takes a query, in the median: the generator's own share."""
        delays = (self.times_ns[:, 1] - self.times_ns[:, 0])[self.idle]
        return float(np.median(delays)) if len(delays) else None


def served(
    calls: Sequence[Call],
    arrivals_ns: Nanoseconds,
    terms: Terms,
    *,
    threads: int = 1,
    clock: Clock | None = None,
) -> Run:
    """Has the calls answered in turn, query after query, as they arrive.

    Raises:
        Exception: What a call has raised.
    """
    line = _Line(calls, arrivals_ns, terms, clock or RealClock())
    if threads == 1:
        line.answer()
    else:
        workers = [threading.Thread(target=line.answer_apart) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return line.run()


class _Line:
    """The queries that wait, and those that were answered."""

    def __init__(
        self, calls: Sequence[Call], arrivals_ns: Nanoseconds, terms: Terms, clock: Clock
    ) -> None:
        self._calls, self._terms, self._clock = calls, terms, clock
        self._start = clock.now_ns() + _HEAD_START_NS
        self._due = arrivals_ns.tolist()
        self._answered: list[tuple[int, int, int, bool]] = []
        self._number, self._late = 0, 0
        self._ended: Ended = "complete"
        self._stopped = False
        self._error: Exception | None = None
        self._front = threading.Lock()

    def answer_apart(self) -> None:
        """`answer` for a thread of its own: what is raised is kept for `run`."""
        wake_sharply()
        spread_out()
        try:
            self.answer()
        except Exception as e:  # noqa: BLE001 (raised again by `run`)
            self._error, self._stopped = e, True

    def answer(self) -> None:
        """Takes query after query until there are no more or the run is over."""
        now = self._clock.now_ns
        while (taken := self._next()) is not None:
            number, idle = taken
            start = now() - self._start
            self._calls[number % len(self._calls)]()
            end = now() - self._start
            due = self._due[number]
            self._answered.append((due, start, end, idle))
            if end - due > self._terms.bound_ns:
                self._count_late()

    def _next(self) -> tuple[int, bool] | None:
        """The first query in line, once it is due, and whether there was a wait for it.

        Only one thread at a time awaits a query: the others stand behind it at the lock.
        """
        with self._front:
            if self._stopped or self._number == len(self._due):
                return None
            number, due = self._number, self._due[self._number]
            elapsed = self._clock.now_ns() - self._start
            if max(due, elapsed) > self._terms.limit_ns:
                self._ended, self._stopped = "out_of_time", True
                return None
            self._number += 1
            idle = due > elapsed
            if idle:
                self._clock.wait_until_ns(self._start + due)
        return number, idle

    def _count_late(self) -> None:
        with self._front:
            self._late += 1
            if self._late > self._terms.allowed_late:
                self._ended, self._stopped = "too_many_late", True

    def run(self) -> Run:
        """What came of it."""
        if self._error is not None:
            raise self._error
        rows = sorted(self._answered)
        times = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
        idle = np.array([row[3] for row in rows], np.bool_)
        return Run(times_ns=times, idle=idle, late=self._late, ended=self._ended)
