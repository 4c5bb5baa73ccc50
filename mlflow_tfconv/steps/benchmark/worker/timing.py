"""Times calls in this process. Needs numpy only."""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.machine_state import MachineWatch

Call = Callable[[], object]
_BLOCK_S = 0.05
_OF_LIMIT = 0.2  # so that a short warm-up has blocks to compare, too
_STILL_FALLING = 0.95  # a block whose median is below this share of the one before: not warm yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Raw timings of one batch size.

    Attributes:
        samples_ns: int64, one a run.
        warmup_count: Runs before them that do not count.
        steady: Whether the times had stopped falling when the timing began.
        conditions: What the machine did meanwhile: see `MachineWatch.so_far`.
    """

    samples_ns: np.ndarray[Any, np.dtype[np.int64]]
    warmup_count: int
    steady: bool
    conditions: Mapping[str, Any]


def timed(
    calls: Sequence[Call],
    *,
    min_time_s: float,
    min_count: float,
    warmup_time_s: float,
    warmup_limit_s: float,
    limit_s: float = np.inf,
) -> Timing:
    """Warms up, then times the calls in turn until both minimum time and minimum count are met.

    Args:
        calls: One after the other, again and again.
        min_time_s: Timed for at least this long,
        min_count: and at least so many.
        warmup_time_s: Shortest warm-up.
        warmup_limit_s: Longest warm-up; its first run is never cut.
        limit_s: The timing ends when it has taken this long, after one run at the least.
    """
    warmup_count, steady = _warm_up(calls, warmup_time_s, warmup_limit_s)
    watch = MachineWatch()
    samples = _run(calls, min_time_s, min_count, limit_s)
    return Timing(
        samples_ns=samples,
        warmup_count=warmup_count,
        steady=steady,
        conditions=watch.so_far(),
    )


def once_ns(call: Call) -> int:
    """The time of a single call."""
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def _run(
    calls: Sequence[Call], min_time_s: float, min_count: float, limit_s: float
) -> np.ndarray[Any, np.dtype[np.int64]]:
    clock, samples = time.perf_counter_ns, array("q")
    started = clock()
    end, limit = started + int(min_time_s * 1e9), started + limit_s * 1e9
    for call in itertools.cycle(calls):
        start = clock()
        call()
        stop = clock()
        samples.append(stop - start)
        if (stop >= end and len(samples) >= min_count) or stop >= limit:
            break
    return np.array(samples, dtype=np.int64)


def _warm_up(calls: Sequence[Call], time_s: float, limit_s: float) -> tuple[int, bool]:
    """Runs in short blocks until a block is no longer faster than the one before."""
    started, count, before = time.perf_counter(), 0, np.inf
    block_s = min(_BLOCK_S, limit_s * _OF_LIMIT)
    while True:
        left = limit_s - (time.perf_counter() - started)
        block = _run(calls, block_s, 2, max(left, 0.0))
        count += len(block)
        median = float(np.median(block))
        elapsed = time.perf_counter() - started
        steady = median >= _STILL_FALLING * before
        if (steady and elapsed >= time_s) or elapsed >= limit_s:
            return count, steady
        before = min(before, median)
