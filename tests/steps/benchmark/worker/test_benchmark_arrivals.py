"""Poisson arrivals, and the queue that they would form."""

from __future__ import annotations

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.worker.arrivals import (
    poisson_arrivals_ns,
    predicted_rate,
    simulated_latencies_ns,
)


def test_gaps_are_exponential_with_the_mean_of_the_rate() -> None:
    gaps = np.diff(poisson_arrivals_ns(50_000, 200.0, seed=3))
    assert gaps.mean() == pytest.approx(5e6, rel=0.02)
    assert gaps.std() == pytest.approx(5e6, rel=0.02)


def test_the_same_seed_gives_the_same_arrivals_and_another_rate_the_same_pattern() -> None:
    slow, fast = poisson_arrivals_ns(100, 10.0, seed=1), poisson_arrivals_ns(100, 20.0, seed=1)
    assert np.array_equal(slow, poisson_arrivals_ns(100, 10.0, seed=1))
    assert np.abs(slow - 2 * fast).max() <= 2
    assert not np.array_equal(slow, poisson_arrivals_ns(100, 10.0, seed=2))


def test_a_query_waits_for_those_before_it() -> None:
    latencies = simulated_latencies_ns(np.array([0, 1, 100]), np.array([10, 10, 10]), 1)
    assert latencies.tolist() == [10, 19, 10]


def test_two_threads_answer_two_queries_at_a_time() -> None:
    latencies = simulated_latencies_ns(np.array([0, 1, 2]), np.array([10, 10, 10]), 2)
    assert latencies.tolist() == [10, 10, 18]


def test_the_prediction_agrees_with_queueing_theory() -> None:
    """M/M/1: the time in the system is exponential with the rate mu - lambda."""
    service = np.random.default_rng(0).exponential(1e6, 50_000).astype(np.int64)
    bound = 20e6
    exact = 1000 - -np.log(0.01) / (bound / 1e9)
    found = predicted_rate(service, bound_ns=bound, quantile=0.99, threads=1)
    assert found == pytest.approx(exact, rel=0.06)


def test_no_rate_is_predicted_where_the_service_breaks_the_bound_alone() -> None:
    assert predicted_rate(np.array([3, 3]), bound_ns=2, quantile=0.9, threads=1) == 0
