"""Timing: minimum time and minimum count, both."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.worker import timing as timing_of_calls
from mlflow_tfconv.steps.benchmark.worker.timing import Timing, once_ns, timed


def quick(call: object, *, min_time_s: float, min_count: int) -> Timing:
    return timed(
        [call],  # type: ignore[list-item]
        min_time_s=min_time_s,
        min_count=min_count,
        warmup_time_s=0.0,
        warmup_limit_s=0.08,
    )


@pytest.fixture
def clock(clock_of: Callable[..., Any]) -> Any:
    """Only calls take time."""
    return clock_of(timing_of_calls)


def test_a_fast_call_is_timed_for_the_minimum_time(clock: Any) -> None:
    samples = quick(lambda: clock.sleep(1e-4), min_time_s=0.02, min_count=1).samples_ns
    assert samples.dtype == np.int64
    assert len(samples) in (200, 201)


def test_a_slow_call_is_timed_for_the_minimum_count(clock: Any) -> None:
    samples = quick(lambda: clock.sleep(0.005), min_time_s=0.0, min_count=7).samples_ns
    assert samples.tolist() == [5_000_000] * 7


def test_calls_take_turns() -> None:
    seen: list[int] = []
    timed(
        [lambda: seen.append(1), lambda: seen.append(2)],
        min_time_s=0.0,
        min_count=4,
        warmup_time_s=0.0,
        warmup_limit_s=0.0,
    )
    assert seen[-4:] == [1, 2, 1, 2]


def test_warm_up_goes_on_while_calls_become_faster(clock: Any) -> None:
    naps = iter([0.02] * 2 + [0.004] * 3)
    timing = quick(lambda: clock.sleep(next(naps, 0.001)), min_time_s=0.0, min_count=1)
    assert timing.warmup_count > 5
    assert timing.steady
    assert timing.samples_ns.tolist() == [1_000_000]


def test_a_call_that_never_settles_is_told(clock: Any) -> None:
    naps = iter(0.02 * 0.8**n for n in range(100))
    timing = quick(lambda: clock.sleep(next(naps)), min_time_s=0.0, min_count=1)
    assert not timing.steady


def test_a_single_call_is_timed_in_nanoseconds() -> None:
    assert once_ns(lambda: time.sleep(0.002)) >= 2_000_000


def test_the_load_of_others_is_known_on_linux() -> None:
    assert quick(lambda: None, min_time_s=0.02, min_count=1).conditions["busy_others"] is not None
