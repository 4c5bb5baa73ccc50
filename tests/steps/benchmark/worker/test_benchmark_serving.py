"""The open loop, on a clock that moves only when something takes time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.worker.arrivals import Nanoseconds
from mlflow_tfconv.steps.benchmark.worker.clock import RealClock
from mlflow_tfconv.steps.benchmark.worker.serving import Run, Terms, served


class StillClock:
    """Moves when it is told, and to what is awaited or a little later."""

    def __init__(self, overslept: int = 0) -> None:
        self.time, self.overslept = 1_000, overslept

    def now_ns(self) -> int:
        return self.time

    def wait_until_ns(self, moment_ns: int) -> None:
        self.time = max(self.time, moment_ns + self.overslept)

    def takes(self, *durations: int) -> Callable[[], object]:
        left = iter(durations)

        def call() -> None:
            self.time += next(left)

        return call


def run(durations: list[int], due: list[int], bound: int = 100, **terms: float) -> Run:
    clock = StillClock()
    asked = {"bound_ns": bound, "allowed_late": 0, "limit_ns": 1e9, **terms}
    arrivals: Nanoseconds = np.array(due, np.int64)
    return served([clock.takes(*durations)], arrivals, Terms(**asked), clock=clock)  # type: ignore[arg-type]


def test_a_query_is_taken_when_it_is_due() -> None:
    found = run([10, 20], [100, 200])
    assert found.times_ns.tolist() == [[100, 100, 110], [200, 200, 220]]
    assert found.idle.all()
    assert (found.late, found.ended) == (0, "complete")


def test_what_waits_behind_a_slow_answer_is_late_too() -> None:
    found = run([1000, 10, 10], [0, 100, 200], allowed_late=9)
    assert found.latencies_ns.tolist() == [1000, 910, 820]
    assert found.late == 3
    assert found.idle.tolist() == [True, False, False]


def test_a_run_that_can_not_pass_any_more_ends() -> None:
    found = run([150] * 6, [0] * 6, allowed_late=1)
    assert (len(found.times_ns), found.ended) == (2, "too_many_late")


def test_a_run_ends_when_its_time_is_over() -> None:
    found = run([10] * 3, [0, 100, 5000], limit_ns=1000)
    assert (len(found.times_ns), found.ended) == (2, "out_of_time")


def test_a_late_waking_is_the_generators_own_share() -> None:
    clock = StillClock(overslept=7)
    terms = Terms(bound_ns=100, allowed_late=0, limit_ns=1e9)
    found = served([clock.takes(1, 1)], np.array([100, 200]), terms, clock=clock)
    assert found.wake_up_ns == 7


def test_several_threads_answer_every_query_once() -> None:
    seen: list[int] = []
    calls = [lambda: seen.append(threading.get_ident())] * 4
    terms = Terms(bound_ns=1e12, allowed_late=0, limit_ns=60e9)
    found = served(calls, np.arange(50) * 200_000, terms, threads=3)
    assert len(seen) == len(found.times_ns) == 50
    assert (np.diff(found.times_ns[:, 0]) > 0).all()


def test_what_a_call_raises_in_a_thread_is_raised() -> None:
    def fails() -> None:
        raise ValueError("no such shape")

    terms = Terms(bound_ns=1e12, allowed_late=0, limit_ns=60e9)
    with pytest.raises(ValueError, match="no such shape"):
        served([fails], np.zeros(9, np.int64), terms, threads=2)


def test_the_real_clock_never_wakes_too_early() -> None:
    clock, moment = RealClock(), time.perf_counter_ns() + 300_000
    clock.wait_until_ns(moment)
    assert clock.now_ns() >= moment
