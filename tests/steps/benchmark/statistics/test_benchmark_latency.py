"""Latency and throughput with their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.statistics.blocks import paired_pieces, pieces
from mlflow_tfconv.steps.benchmark.statistics.latency import (
    latency_findings,
    quantile_findings,
    rate_findings,
    supported_quantiles,
)
from mlflow_tfconv.steps.benchmark.statistics.student import t95


def turns(*medians: float, runs: int = 40, seed: int = 0) -> list[np.ndarray]:
    """One array a turn, in nanoseconds, around medians in milliseconds."""
    generator = np.random.default_rng(seed)
    return [
        (median * 1e6 * generator.lognormal(0, 0.02, runs)).astype(np.int64) for median in medians
    ]


def test_each_percentile_needs_a_run_beyond_it() -> None:
    assert supported_quantiles(0) == ()
    assert supported_quantiles(9) == (50,)
    assert supported_quantiles(19) == (50, 90)
    assert supported_quantiles(99) == (50, 90, 95)
    assert supported_quantiles(100) == (50, 90, 95, 99)


def test_batch_1_has_the_plain_names_and_the_best_throughput_too() -> None:
    run = np.full(2, 10**6)
    metrics = latency_findings({1: [run], 32: [run * 8]}).metrics
    assert metrics == pytest.approx(
        {
            "latency/p50_ms": 1.0,
            "latency/p50_ms_b32": 8.0,
            "throughput/samples_per_s_b1": 1000.0,
            "throughput/samples_per_s_b32": 4000.0,
            "throughput/samples_per_s": 4000.0,
            "throughput/best_batch": 32.0,
        }
    )


def test_latency_of_other_batches_never_takes_the_plain_name() -> None:
    assert "latency/p50_ms" not in latency_findings({8: turns(1.0)}).metrics


def test_the_interval_holds_the_value_and_is_as_wide_as_the_turns_are_apart() -> None:
    calm = latency_findings({1: turns(1.0, 1.0, 1.0, 1.0, 1.0)})
    restless = latency_findings({1: turns(0.9, 1.1, 1.0, 0.95, 1.05)})
    widths = []
    for found in (calm, restless):
        for name in ("latency/p50_ms", "latency/p99_ms", "throughput/samples_per_s_b1"):
            low, high = found.intervals[name]
            assert low < found.metrics[name] < high
        widths.append(np.subtract(*found.intervals["latency/p50_ms"][::-1]))
    assert widths[1] > 4 * widths[0]


def test_runs_of_one_turn_that_are_alike_do_not_make_the_interval_narrow() -> None:
    two_moods = [np.concatenate([t, u]) for t, u in zip(turns(1.0), turns(1.3), strict=True)]
    low, high = latency_findings({1: two_moods}).intervals["latency/p50_ms"]
    assert high / low > 1.15


def test_the_same_timings_give_the_same_interval() -> None:
    blocks = {1: turns(1.0, 1.1, 0.9, 1.0)}
    assert latency_findings(blocks) == latency_findings(blocks)


def test_a_few_runs_have_no_interval() -> None:
    assert quantile_findings([np.arange(1, 8)], "latency/p{q}_ms").intervals == {}
    assert latency_findings({1: [np.zeros(0, np.int64)]}).metrics == {}
    assert rate_findings([], "rate", examples_a_run=1).metrics == {}


def test_too_few_turns_are_cut_into_pieces() -> None:
    assert len(pieces(turns(1, 1, 1, 1))) == 4
    assert len(pieces(turns(1, 1, 1))) == 12
    assert len(pieces(turns(1))) == 8  # five runs each
    assert pieces(turns(1, runs=12)) == []


def test_a_turn_that_one_of_two_lacks_is_left_out() -> None:
    own = [*turns(1, 1, 1, 1), np.zeros(0, np.int64)]
    assert len(paired_pieces(own, turns(1, 1, 1, 1, 1))) == 4


def test_students_t_is_that_of_the_tables() -> None:
    known = {1: 12.7062, 4: 2.7764, 20: 2.0860, 21: 2.0796, 30: 2.0423, 120: 1.9799}
    assert {freedom: round(t95(freedom), 4) for freedom in known} == pytest.approx(known, abs=5e-4)
