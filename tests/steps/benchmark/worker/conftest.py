"""A clock on which only calls take time, and patience with a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from mlflow_tfconv.steps.benchmark.worker.memory_sampler import MemorySampler

_LONGEST_S = 30.0


class Clock:
    """Time that passes only in sleep, whatever else the machine does."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def perf_counter_ns(self) -> int:
        return round(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clock]:
    """The only clock that these modules know."""

    def make(*modules: Any) -> Clock:
        clock = Clock()
        for module in modules:
            monkeypatch.setattr(module, "time", clock)
        return clock

    return make


@pytest.fixture
def wait_for_a_look() -> Callable[[MemorySampler], None]:
    """Waits until the sampler has looked once more, however busy the machine is."""

    def wait(sampler: MemorySampler) -> None:
        begun, deadline = sampler.now(), time.monotonic() + _LONGEST_S
        while time.monotonic() < deadline:
            if len(sampler) and sampler.curve()[-1, 0] > begun:
                return
            time.sleep(0.001)
        pytest.fail("the sampler does not look")

    return wait
