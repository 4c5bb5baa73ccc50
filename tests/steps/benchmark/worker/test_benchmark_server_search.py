"""The search for a rate against a server whose truth is known: one that only waits in a queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.worker import server as searching
from mlflow_tfconv.steps.benchmark.worker import server_trials
from mlflow_tfconv.steps.benchmark.worker.arrivals import Nanoseconds, simulated_latencies_ns
from mlflow_tfconv.steps.benchmark.worker.server_trials import Trials
from mlflow_tfconv.steps.benchmark.worker.serving import Run, Terms
from mlflow_tfconv.steps.benchmark.worker.streams import Streams

SERVICE_NS = 1_000_000
Search = Callable[..., dict[str, Any]]


def streamed(streams: Any, **_: Any) -> Streams:
    """A thousand calls of 1 ms each."""
    begins = np.arange(1000) * SERVICE_NS
    numbers = np.zeros(1000, np.int64)
    return Streams(times_ns=np.column_stack([numbers, begins, begins + SERVICE_NS]))


def served(_calls: Any, arrivals: Nanoseconds, terms: Terms, *, threads: int) -> Run:
    """Each answer takes 1 ms; it ends as the real one does."""
    service = np.full(len(arrivals), SERVICE_NS)
    latencies = simulated_latencies_ns(arrivals, service, threads)
    over = np.cumsum(latencies > terms.bound_ns)
    stop = int(np.searchsorted(over, terms.allowed_late, side="right")) + 1
    ends = arrivals + latencies
    times = np.column_stack([arrivals, ends - SERVICE_NS, ends])[:stop]
    return Run(
        times_ns=times,
        idle=(latencies == SERVICE_NS)[:stop],
        late=int(over[: stop + 1][-1] if stop > len(over) else over[stop - 1]),
        ended="too_many_late" if stop <= len(over) else "complete",
    )


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Searches with these options."""
    monkeypatch.setattr(server_trials, "served", served)
    monkeypatch.setattr(searching, "streamed", streamed)
    monkeypatch.setattr(searching, "batches_of_size", lambda *_: [])
    watch = SimpleNamespace(so_far=lambda: {"busy_others": 0.0})
    monkeypatch.setattr(server_trials, "MachineWatch", lambda: watch)
    opened: Any = SimpleNamespace(
        folder=tmp_path, runtime=None, job=SimpleNamespace(pin_threads=False), fixed_batch=lambda: 1
    )
    return lambda **options: searching.server(opened, **options)


def exact_rate(bound_ms: float, threads: int = 1) -> float:
    """The highest rate whose 99th percentile of very many queries keeps the bound."""
    gaps = np.cumsum(np.random.default_rng(7).exponential(1.0, 200_000))
    low, high = 0.0, 1000.0 * threads
    for _ in range(8):
        rate = (low + high) / 2
        arrivals = (gaps / rate * 1e9).astype(np.int64)
        found = simulated_latencies_ns(arrivals, np.full(len(gaps), SERVICE_NS), threads)
        low, high = (rate, high) if np.percentile(found, 99) <= bound_ms * 1e6 else (low, rate)
    return low


def test_the_rate_is_below_the_truth_and_near_it(search: Search) -> None:
    found, truth = search(latency_bound_ms=5.0, min_time_s=60, time_limit_s=1e5), exact_rate(5.0)
    assert found["confirmed"]
    assert 0.85 * truth < found["max_rate_per_s"] < 1.03 * truth
    assert found["p99_ms"] <= 5.0
    assert found["doubts"] == []
    assert len(found["trials"]) < 15


def test_two_threads_bear_more_than_twice_the_rate_of_one(search: Search) -> None:
    one, two = search(latency_bound_ms=3.0), search(latency_bound_ms=3.0, threads=2)
    assert two["max_rate_per_s"] > 2 * one["max_rate_per_s"]


def test_a_wide_bound_does_not_hide_a_line_that_grows(search: Search) -> None:
    """At 1,050 a second all of 1,157 queries would still be answered within a second."""
    found = search(latency_bound_ms=1000.0, min_time_s=0.1)
    assert found["max_rate_per_s"] < 1000


def test_half_the_quantile_is_asked_half_as_much_of(search: Search) -> None:
    strict = search(latency_bound_ms=3.0)["max_rate_per_s"]
    assert search(latency_bound_ms=3.0, quantile=0.9)["max_rate_per_s"] > strict


def test_a_line_that_grows_breaks_a_rate_though_nobody_is_late_yet(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_idle(*arguments: Any, **named: Any) -> Run:
        run = served(*arguments, **named)
        return Run(times_ns=run.times_ns, idle=run.idle & False, late=0, ended="complete")

    monkeypatch.setattr(server_trials, "served", never_idle)
    found = search(latency_bound_ms=50.0)
    assert found["max_rate_per_s"] is None
    assert all(trial["line_grew"] for trial in found["trials"])


def test_a_rate_that_others_disturbed_is_tried_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = SimpleNamespace(so_far=lambda: {"busy_others": 1.0})
    monkeypatch.setattr(server_trials, "MachineWatch", lambda: watch)
    found = search(latency_bound_ms=5.0)
    broken = [trial["rate_per_s"] for trial in found["trials"] if not trial["held"]]
    assert broken
    assert all(broken.count(rate) == 2 for rate in broken)
    assert found["doubts"][-1] == "other processes used 1.0 processors"


def test_a_rate_that_holds_once_and_never_again_is_no_rate(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Trials.held

    def held(self: Trials, rate: float, count: int, *, proof: bool) -> bool:
        return real(self, rate, count, proof=proof) and not proof

    monkeypatch.setattr(Trials, "held", held)
    found = search(latency_bound_ms=5.0)
    assert found["max_rate_per_s"] is None
    assert "held once, but not a second time" in found["why"]


def test_a_rate_that_there_is_no_time_to_confirm_is_told_as_such(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Trials.affordable

    def affordable(self: Trials, rate: float, until_s: float, share: float) -> int | None:
        return None if share == 0.5 else real(self, rate, until_s, share)

    monkeypatch.setattr(Trials, "affordable", affordable)
    found = search(latency_bound_ms=5.0)
    assert found["max_rate_per_s"] > 0
    assert not found["confirmed"]
    assert "no time for a second run" in found["why"]
