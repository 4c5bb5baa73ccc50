"""Quantiles only where there are enough runs; doubts with their reasons."""

from __future__ import annotations

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.statistics.stability import doubt, latency_metrics, unstable_note

CALM = {"steady": True, "busy_others": 0.0}


def milliseconds(*values: float) -> np.ndarray:
    return (np.array(values) * 1e6).astype(np.int64)


def test_p99_needs_100_runs() -> None:
    assert "latency/p99_ms" not in latency_metrics({1: milliseconds(*[1.0] * 99)})
    assert latency_metrics({1: milliseconds(*[1.0] * 100)})["latency/p99_ms"] == 1.0


def test_batch_1_has_the_plain_names_and_the_best_throughput_too() -> None:
    metrics = latency_metrics({1: milliseconds(1, 1), 32: milliseconds(8, 8)})
    assert metrics == pytest.approx(
        {
            "latency/p50_ms": 1.0,
            "latency/p90_ms": 1.0,
            "latency/p50_ms_b32": 8.0,
            "latency/p90_ms_b32": 8.0,
            "throughput/samples_per_s_b1": 1000.0,
            "throughput/samples_per_s_b32": 4000.0,
            "throughput/samples_per_s": 4000.0,
        }
    )


def test_latency_of_other_batches_never_takes_the_plain_name() -> None:
    assert "latency/p50_ms" not in latency_metrics({8: milliseconds(1, 1)})


def test_even_timings_raise_no_doubt() -> None:
    assert doubt(milliseconds(*[1.0, 1.01] * 100), CALM, 2) is None


def test_a_wide_spread_is_told_with_its_reason() -> None:
    busy = {"steady": True, "busy_others": 1.4}
    said = doubt(milliseconds(*[1.0, 2.0, 3.0] * 10), busy, 2)
    assert said == (
        "the middle half of the timings lies between 1 and 3 ms, "
        "other processes used 1.4 of 2 processors, there were only 30 runs"
    )


def test_interrupted_runs_and_a_spread_of_the_models_own_raise_no_doubt() -> None:
    assert doubt(milliseconds(*[0.03] * 80, *[0.9] * 20, *[0.03] * 80), CALM, 2) is None
    assert doubt(milliseconds(*[1.0, 2.0, 3.0] * 100), CALM, 2) is None


def test_a_median_that_comes_and_goes_is_told() -> None:
    values = [*[1.0] * 30, *[1.4] * 30] * 4
    assert "their median wandered by 33%" in str(doubt(milliseconds(*values), CALM, 2))


def test_a_single_run_raises_no_doubt_but_the_count() -> None:
    assert doubt(milliseconds(1.0), CALM, 2) is None


def test_a_drift_is_told() -> None:
    assert "drifted by" in str(doubt(milliseconds(*[1.0] * 60, *[1.2] * 60), CALM, 2))


def test_one_note_names_all_batch_sizes_in_doubt() -> None:
    assert unstable_note({1: None, 32: "they drifted by 20%"}) == (
        "may be unstable, because they drifted by 20% (batch 32)",
    )
    assert unstable_note({1: None}) == ()
