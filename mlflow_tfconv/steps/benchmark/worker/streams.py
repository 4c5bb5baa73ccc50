"""Several streams of calls at a time, each sending the next call as soon as the last is answered.

Each stream is a thread of this process, as the threads of a server in Python are: what the threads
take from one another in Python is in the numbers. Needs numpy only.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.pinning import pin_caller, spread_out

Call = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What several streams took.

    Attributes:
        times_ns: (calls, 3) int64: number of the stream, begin and end in nanoseconds since the
            start.
    """

    times_ns: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def latencies_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(calls,) of all streams."""
        latencies: np.ndarray[Any, np.dtype[np.int64]] = self.times_ns[:, 2] - self.times_ns[:, 1]
        return latencies

    @property
    def calls_per_s(self) -> float:
        """While all streams were at work: calls that reach beyond that time count by their part."""
        begins, ends = self._of_each(np.min, 1), self._of_each(np.max, 2)
        start, stop = max(begins), min(ends)
        inside = np.minimum(self.times_ns[:, 2], stop) - np.maximum(self.times_ns[:, 1], start)
        parts = np.clip(inside, 0, None) / np.maximum(self.latencies_ns, 1)
        return float(parts.sum() / ((stop - start) / 1e9))

    def of(self, stream: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The latencies of one stream."""
        own: np.ndarray[Any, np.dtype[np.int64]] = self.latencies_ns[self.times_ns[:, 0] == stream]
        return own

    def _of_each(self, edge: Callable[[Any], Any], column: int) -> list[int]:
        numbers = np.unique(self.times_ns[:, 0])
        return [int(edge(self.times_ns[self.times_ns[:, 0] == n, column])) for n in numbers]


def streamed(
    streams: Sequence[Sequence[Call]],
    *,
    min_time_s: float,
    min_count: int,
    limit_s: float = math.inf,
    processors: Sequence[Sequence[int]] = (),
) -> Streams:
    """Runs all streams until the time is over and each has made its fewest calls.

    None stops before all have: the last calls of each are made under the same load as the first.

    Args:
        streams: The calls of each, made in turn.
        min_time_s: Shortest time.
        min_count: Fewest calls of each,
        limit_s: unless they take longer than this.
        processors: What each stream's thread is tied to; empty lets them run on all.

    Raises:
        Exception: What a call has raised.
    """
    group = _Group(len(streams), min_time_s, min_count, limit_s)
    tied = processors or [()] * len(streams)
    workers = [
        threading.Thread(target=group.stream, args=(number, calls, on))
        for number, (calls, on) in enumerate(zip(streams, tied, strict=True))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return group.result()


class _Group:
    """Streams that start and stop together."""

    def __init__(self, count: int, min_time_s: float, min_count: int, limit_s: float) -> None:
        self._time_ns, self._limit_ns, self._count = min_time_s * 1e9, limit_s * 1e9, min_count
        self._gate = threading.Barrier(count)
        self._times = [array("q") for _ in range(count)]
        self._unready, self._ready = count, threading.Lock()
        self._start = time.perf_counter_ns()
        self._error: Exception | None = None

    def stream(self, number: int, calls: Sequence[Call], processors: Sequence[int]) -> None:
        """One stream, in a thread of its own."""
        pin_caller(processors) if processors else spread_out()
        self._gate.wait()
        try:
            self._run(number, calls)
        except Exception as e:  # noqa: BLE001 (raised again by `result`)
            self._error = e

    def _run(self, number: int, calls: Sequence[Call]) -> None:
        clock, times, ready = time.perf_counter_ns, self._times[number], False
        enough, begin = 2 * self._count, clock()
        end, limit = begin + self._time_ns, begin + self._limit_ns
        for call in itertools.cycle(calls):
            start = clock()
            call()
            stop = clock()
            times.append(start)
            times.append(stop)
            if not ready and stop >= end and (len(times) >= enough or stop >= limit):
                ready = True
                with self._ready:
                    self._unready -= 1
            if (ready and not self._unready) or self._error is not None:
                return

    def result(self) -> Streams:
        """What all took."""
        if self._error is not None:
            raise self._error
        rows = [self._rows(number, times) for number, times in enumerate(self._times)]
        return Streams(times_ns=np.concatenate(rows))

    def _rows(self, number: int, times: array[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
        pairs = np.array(times, np.int64).reshape(-1, 2) - self._start
        return np.column_stack([np.full(len(pairs), number, np.int64), pairs])
