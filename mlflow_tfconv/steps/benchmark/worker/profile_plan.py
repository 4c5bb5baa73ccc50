"""How many runs are profiled, and what they take without the profiler."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_FEWEST, _WARMUP = 3, 3
MOST_CALLS = 40_000  # a profiler's file has close to a kilobyte for each
_US_A_CALL = 5.0  # what ONNX Runtime's profiler takes at least, within a call and around it
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """How often to run.

    Attributes:
        warmup: Runs that are thrown away.
        runs: Runs that are profiled; as many are timed without the profiler, half of them before
            and half after, so that a drift of the machine hits both alike.
    """

    warmup: int
    runs: int

    @property
    def before(self) -> int:
        """Runs without the profiler before it."""
        return (self.runs + 1) // 2

    def runs_after(self, profiled_ms: float, plain_ms: float) -> int:
        """How many runs are still profiled after the warm-up: fewer where loops make many calls.

        Args:
            profiled_ms: A run of the warm-up, with the profiler.
            plain_ms: A run without it.

        Returns:
            0 when the last run of the warm-up has to do.
        """
        if profiled_ms < 2 * plain_ms:
            return self.runs
        calls = (profiled_ms - plain_ms) * 1e3 / _US_A_CALL
        return min(int(MOST_CALLS / max(calls, 1.0)), self.runs)


def profile_plan(run_ms: float, *, seconds: float, most_runs: int, nodes: int = 1) -> ProfilePlan:
    """As many runs as fit into the time, but some in any case.

    Args:
        run_ms: What one run takes.
        seconds: For all runs with the profiler.
        most_runs: Limit of their number.
        nodes: Nodes of the graph: large graphs are profiled less often.
    """
    fit = int(seconds * 1e3 / max(run_ms, 1e-3))
    runs = max(min(fit, most_runs, MOST_CALLS // max(nodes, 1)), _FEWEST)
    return ProfilePlan(warmup=_WARMUP if runs > _FEWEST else 1, runs=runs)


def times_ms(calls: Sequence[Callable[[], object]], count: int) -> list[float]:
    """What each of so many runs takes, with the calls in turn."""
    found = []
    for call in itertools.islice(itertools.cycle(calls), count):
        started = time.perf_counter_ns()
        call()
        found.append((time.perf_counter_ns() - started) / _NS_PER_MS)
    return found
