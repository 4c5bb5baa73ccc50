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


def test_what_is_true_of_all_is_said_once() -> None:
    notes = ("was timed with made-up inputs",)
    rows = [VariantReport(run_name=f"{name}/onnx", notes=notes) for name in "ab"]
    failed = VariantReport(run_name="c/onnx", failure="It crashed.")
    table = BenchmarkReport(Reports(rows=(*rows, failed))).table()
    assert [row[-1] for row in table.rows] == ["", "", "failed"]
    assert table.caption.endswith(". Each: was timed with made-up inputs")
