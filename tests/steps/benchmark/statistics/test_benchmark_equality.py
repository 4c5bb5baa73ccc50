"""Faster, slower or equal: turn by turn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.statistics.compared_metrics import compared_metrics
from mlflow_tfconv.steps.benchmark.statistics.equality import compared_latency, compared_rate


def turns(*medians: float, runs: int = 40, seed: int = 0) -> list[np.ndarray]:
    """One array a turn, in nanoseconds, around medians in milliseconds."""
    generator = np.random.default_rng(seed)
    return [
        (median * 1e6 * generator.lognormal(0, 0.02, runs)).astype(np.int64) for median in medians
    ]


def test_what_slows_both_in_a_turn_cancels_in_their_ratio() -> None:
    mood = np.array([1.0, 1.8, 1.2, 2.0, 1.5])
    found = compared_latency(turns(*1.1 * mood, seed=1), turns(*mood, seed=2))
    assert found.basis == "5 turns, paired"
    assert found.low < 1.1 < found.high < 1.13


def test_variants_whose_intervals_overlap_are_called_equal() -> None:
    mood = np.array([1.0, 1.8, 1.2, 2.0, 1.5])
    for compared in (compared_latency, compared_rate):
        assert compared(turns(*1.1 * mood, seed=1), turns(*mood, seed=2)).verdict == "equal"
    calm = np.array([1.0, 1.01, 1.0, 0.99, 1.0])
    assert compared_latency(turns(*1.1 * calm, seed=1), turns(*calm, seed=2)).verdict == "slower"
    assert compared_rate(turns(*1.1 * calm, seed=1), turns(*calm, seed=2)).verdict == "slower"


def test_the_same_program_is_equal_and_so_is_a_difference_of_a_percent() -> None:
    mood = np.array([1.0, 1.1, 1.2, 1.0, 1.1])
    assert compared_latency(turns(*mood, seed=1), turns(*mood, seed=2)).verdict == "equal"
    steady = [np.full(50, 10**6) for _ in range(5)]
    assert compared_latency([t * 101 // 100 for t in steady], steady).verdict == "equal"
    assert compared_latency([t * 104 // 100 for t in steady], steady).verdict == "slower"


def test_turns_that_disagree_are_equal() -> None:
    found = compared_latency(turns(1.0, 1.4, 0.8, 1.3), turns(1.0, 1.0, 1.2, 0.9))
    assert found.verdict == "equal"
    assert found.low < 1 < found.high


def test_a_higher_rate_is_faster() -> None:
    found = compared_rate(turns(1, 1, 1, 1), turns(2, 2, 2, 2))
    assert (found.verdict, found.ratio) == ("faster", pytest.approx(2, rel=0.05))
    bigger = compared_rate(turns(1, 1, 1, 1), turns(1, 1, 1, 1), own_size=4, reference_size=1)
    assert bigger.ratio == pytest.approx(4)


def test_too_few_runs_say_nothing() -> None:
    for few in ([], turns(1, runs=3), turns(1, runs=19)):
        found = compared_latency(few, few)
        assert (found.verdict, found.low, found.high) == ("equal", 0.0, math.inf)
        assert compared_rate(few, few).high == math.inf
    assert compared_metrics({1: turns(1, runs=3)}, {1: turns(1, runs=3)}) == {}


def test_a_percentile_that_no_turn_supports_is_taken_of_all_of_them() -> None:
    found = compared_latency(turns(2, 2, 2, 2), turns(1, 1, 1, 1), quantile=99)
    assert (found.verdict, found.ratio) == ("slower", pytest.approx(2, rel=0.05))


def test_one_turn_is_cut_into_parts_that_are_paired() -> None:
    found = compared_latency(turns(2, runs=100), turns(1, runs=100))
    assert (found.verdict, found.basis) == ("slower", "10 parts of 1 turn, paired")


def test_all_metrics_that_both_have_are_compared() -> None:
    own, reference = {1: turns(1, 1, 1, 1), 4: turns(1, 1)}, {1: turns(2, 2, 2, 2), 8: turns(3, 3)}
    found = compared_metrics(own, reference)
    assert found["latency/p50_ms"]["verdict"] == "faster"
    assert found["latency/p99_ms"]["verdict"] == "faster"
    assert found["throughput/samples_per_s_b1"]["verdict"] == "faster"
    assert found["throughput/samples_per_s"]["ratio"] == pytest.approx(1.5, rel=0.05)
    assert not any(name.endswith(("b4", "b8")) for name in found)
