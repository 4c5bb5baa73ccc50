"""Times calls in this process. Needs numpy only."""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], object]
_BLOCK_S = 0.05
_STILL_FALLING = 0.95  # a block whose median is below this share of the one before: not warm yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Raw timings of one batch size.

    Attributes:
        samples_ns: int64, one a run.
        warmup_count: Runs before them that do not count.
        steady: Whether the times had stopped falling when the timing began.
        busy_others: Processors that other processes kept busy meanwhile; None when nobody knows.
    """

    samples_ns: np.ndarray[Any, np.dtype[np.int64]]
    warmup_count: int
    steady: bool
    busy_others: float | None


def timed(
    calls: Sequence[Call],
    *,
    min_time_s: float,
    min_count: int,
    warmup_time_s: float,
    warmup_limit_s: float,
) -> Timing:
    """Warms up, then times the calls in turn until both minimum time and minimum count are met."""
    warmup_count, steady = _warm_up(calls, warmup_time_s, warmup_limit_s)
    load = _Load()
    samples = _run(calls, min_time_s, min_count)
    return Timing(
        samples_ns=samples,
        warmup_count=warmup_count,
        steady=steady,
        busy_others=load.of_others(),
    )


def once_ns(call: Call) -> int:
    """The time of a single call."""
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def _run(
    calls: Sequence[Call], min_time_s: float, min_count: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    clock, samples = time.perf_counter_ns, array("q")
    end = clock() + int(min_time_s * 1e9)
    for call in itertools.cycle(calls):
        start = clock()
        call()
        stop = clock()
        samples.append(stop - start)
        if stop >= end and len(samples) >= min_count:
            break
    return np.array(samples, dtype=np.int64)


def _warm_up(calls: Sequence[Call], time_s: float, limit_s: float) -> tuple[int, bool]:
    """Runs in short blocks until a block is no longer faster than the one before."""
    started, count, before = time.perf_counter(), 0, np.inf
    while True:
        block = _run(calls, _BLOCK_S, 2)
        count += len(block)
        median = float(np.median(block))
        elapsed = time.perf_counter() - started
        steady = median >= _STILL_FALLING * before
        if (steady and elapsed >= time_s) or elapsed >= limit_s:
            return count, steady
        before = min(before, median)


class _Load:
    """What other processes do while something is measured."""

    def __init__(self) -> None:
        self._wall, self._busy, self._own = time.perf_counter(), _busy_s(), time.process_time()

    def of_others(self) -> float | None:
        """Processors that other processes kept busy since; None off Linux."""
        busy, wall = _busy_s(), time.perf_counter() - self._wall
        if busy is None or self._busy is None or wall <= 0:
            return None
        own = time.process_time() - self._own
        return max(0.0, (busy - self._busy - own) / wall)


def _busy_s() -> float | None:
    """Seconds that the machine's processors have been busy since it started."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as file:
            ticks = [int(number) for number in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    idle = ticks[3] + ticks[4]  # idle and waiting for a disk
    return (sum(ticks) - idle) / 100  # /proc counts in USER_HZ, which is 100 everywhere
