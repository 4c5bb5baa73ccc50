"""Better, worse or equal: by what statistics have found, by intervals, or by size."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.standing import (
    in_words,
    reference_of,
    standing,
)


def said(reports: Reports, name: str, metric: str) -> str | None:
    row = next(row for row in reports.rows if row.run_name == name)
    found = standing(row, metric, reports)
    return None if found is None else in_words(metric, found)


@pytest.mark.parametrize(
    ("name", "metric", "words"),
    [
        ("fast/onnx", "latency/p50_ms", "2.0× faster"),
        ("same/onnx", "latency/p50_ms", "equal"),
        ("fast/onnx", "footprint/size_mb", "4.0× smaller"),
        ("fast/onnx", "footprint/host_peak_mb", "equal"),
        ("fast/onnx", "quality/accuracy", "worse"),
        ("fast/onnx", "quality/accuracy_drop", "worse"),
        ("same/onnx", "quality/accuracy", "equal"),
        ("base/onnx", "latency/p50_ms", None),  # the reference
        ("fast/onnx", "quality/agreement", None),  # knows no better
        ("fast/onnx", "latency/p50_ms_b32", None),  # nobody knows its noise
        ("bad/onnx", "latency/p50_ms", None),
    ],
)
def test_a_number_stands_as_far_as_its_noise_is_known(
    reports: Reports, name: str, metric: str, words: str | None
) -> None:
    assert said(reports, name, metric) == words


def test_paired_statistics_outweigh_intervals_that_overlap(reports: Reports) -> None:
    compared = {"latency/p50_ms": {"ratio": 1.05, "low": 1.02, "high": 1.07, "verdict": "slower"}}
    variants = {**reports.environment["variants"], "same/onnx": {"against_reference": compared}}
    told = dataclasses.replace(reports, environment={**reports.environment, "variants": variants})
    assert said(told, "same/onnx", "latency/p50_ms") == "1.05× slower"


@pytest.mark.parametrize(
    ("mb", "words"), [(904.0, "equal"), (920.6, "equal"), (960.0, "1.10× more")]
)
def test_memory_that_another_process_of_the_same_file_may_take_is_equal(
    mb: float, words: str
) -> None:
    rows = tuple(
        VariantReport(run_name=f"{name}/onnx", metrics={"footprint/host_peak_mb": value})
        for name, value in (("base", 870.3), ("twin", mb))
    )
    assert said(Reports(rows=rows), "twin/onnx", "footprint/host_peak_mb") == words


def test_more_throughput_is_better() -> None:
    rows = tuple(
        VariantReport(
            run_name=f"{name}/onnx",
            metrics={"throughput/samples_per_s": rate},
            intervals={"throughput/samples_per_s": (rate - 1, rate + 1)},
        )
        for name, rate in (("base", 100.0), ("fast", 250.0), ("slow", 50.0))
    )
    reports = Reports(rows=rows)
    assert said(reports, "fast/onnx", "throughput/samples_per_s") == "2.5× more"
    assert said(reports, "slow/onnx", "throughput/samples_per_s") == "2.0× less"


@pytest.mark.parametrize("environment", [{}, {"reference": None}, {"reference": "bad/onnx"}])
def test_without_a_reference_the_first_that_was_measured_is_one(
    reports: Reports, environment: dict[str, Any]
) -> None:
    rows = (reports.rows[-1], *reports.rows[:-1])
    found = reference_of(Reports(rows=rows, environment=environment))
    assert found is not None
    assert found.run_name == "base/onnx"


def test_where_nothing_was_measured_there_is_no_reference(reports: Reports) -> None:
    assert reference_of(Reports(rows=reports.rows[-1:])) is None


def test_a_nan_is_neither_better_nor_worse(reports: Reports) -> None:
    metrics = {**reports.rows[1].metrics, "latency/p50_ms": float("nan")}
    broken = dataclasses.replace(reports.rows[1], metrics=metrics)
    assert standing(broken, "latency/p50_ms", reports) is None
