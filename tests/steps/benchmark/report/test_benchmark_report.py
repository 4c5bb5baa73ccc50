"""The report: complete, in the agreed order, and nothing unmeasured written as 0."""

from __future__ import annotations

import numpy as np

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.report import BenchmarkReport

REPORT = BenchmarkReport(
    Reports(
        rows=(
            VariantReport(
                run_name="base/onnx",
                metrics={
                    "footprint/size_mb": 0.1234,
                    "latency/p50_ms": 0.5,
                    "quality/accuracy_drop": 0.0,
                    "quality/accuracy": 0.9876,
                },
                notes=("may be unstable, because they drifted by 20% (batch 1)",),
            ),
            VariantReport(run_name="<bad>/onnx", failure="It crashed.\n  Fix: x"),
        ),
        environment={"device": "cpu", "machine": {"processor": "P"}},
    )
)


def test_columns_are_the_metric_names_quality_first() -> None:
    frame = REPORT.to_dataframe()
    assert list(frame.columns) == [
        "quality/accuracy_drop",
        "quality/accuracy",
        "latency/p50_ms",
        "footprint/size_mb",
    ]
    assert np.isnan(frame.loc["<bad>/onnx", "latency/p50_ms"])


def test_the_table_shows_what_was_measured_and_short_remarks() -> None:
    table = REPORT.table("accuracy")
    assert table.columns == ("variant", "accuracy", "p50 ms", "size MB", "")
    assert table.rows == (
        ("base/onnx", "0.9876", "0.500", "0.123", "unstable"),
        ("<bad>/onnx", "", "", "", "failed"),
    )


def test_names_in_html_are_text() -> None:
    page = REPORT.to_html()
    assert "&lt;bad&gt;/onnx" in page
    assert "<bad>" not in page


def test_a_condition_may_ask_for_the_ratio_that_was_found_round_by_round() -> None:
    rows = tuple(VariantReport(run_name=f"{n}/onnx", metrics={"latency/p50_ms": 1.0}) for n in "ab")
    found = {"latency/p50_ms": {"ratio": 1.2, "low": 1.1, "high": 1.3, "verdict": "slower"}}
    told = {"reference": "a/onnx", "variants": {"b/onnx": {"against_reference": found}}}
    report = BenchmarkReport(Reports(rows=rows, environment=told))
    assert report.judged("b.latency/p50_ms.ratio.low > 1.05").met


def test_what_is_true_of_all_is_said_once() -> None:
    notes = ("was timed with made-up inputs",)
    rows = [VariantReport(run_name=f"{name}/onnx", notes=notes) for name in "ab"]
    failed = VariantReport(run_name="c/onnx", failure="It crashed.")
    table = BenchmarkReport(Reports(rows=(*rows, failed))).table()
    assert [row[-1] for row in table.rows] == ["", "", "failed"]
    assert table.caption.endswith(". Each: was timed with made-up inputs")
