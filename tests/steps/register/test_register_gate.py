from __future__ import annotations

import math

import pytest

from mlflow_tfconv.artifacts import VariantReport
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.register.config import Criterion
from mlflow_tfconv.steps.register.gate import best, check_names, greater_is_better, judge

FORMATS = ("onnx", "saved_model", "keras")


def row(name: str, **metrics: float) -> VariantReport:
    return VariantReport(
        run_name=name, metrics={k.replace("__", "/"): v for k, v in metrics.items()}
    )


def test_a_variant_within_its_bounds_passes() -> None:
    criteria = [Criterion(metric="quality/accuracy", min=0.9, max=1.0)]
    assert judge([row("a/onnx", quality__accuracy=0.9)], criteria, FORMATS) == {"a/onnx": ()}


def test_what_is_missed_is_said_with_its_value() -> None:
    criteria = [
        Criterion(metric="quality/accuracy", min=0.95),
        Criterion(metric="latency/p50_ms", max=2),
    ]
    verdict = judge([row("a/onnx", quality__accuracy=0.9, latency__p50_ms=3)], criteria, FORMATS)
    assert verdict["a/onnx"] == (
        "quality/accuracy 0.9 is below 0.95",
        "latency/p50_ms 3 is above 2",
    )


def test_what_was_not_measured_is_missed() -> None:
    criteria = [Criterion(metric="quality/accuracy", min=0.95)]
    rows = [
        row("a/onnx"),
        row("b/onnx", quality__accuracy=math.nan),
        VariantReport(run_name="c/onnx", failure="out of memory"),
        row("d/keras", quality__accuracy=1),
    ]
    assert judge(rows, criteria, ("onnx",)) == {
        "a/onnx": ("quality/accuracy was not measured",),
        "b/onnx": ("quality/accuracy was not measured",),
        "c/onnx": ("was not measured: out of memory",),
        "d/keras": ("format keras is not in register.formats",),
    }


def test_the_best_is_the_first_among_equals() -> None:
    rows = [row("a/onnx", m=2), row("b/onnx", m=1), row("c/onnx", m=1), row("d/onnx")]
    assert best(rows, "m", greater_is_better=False) is rows[1]
    assert best(rows, "m", greater_is_better=True) is rows[0]
    assert best([rows[3]], "m", greater_is_better=True) is None


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("latency/p99_ms_b32", False),
        ("throughput/samples_per_s", True),
        ("footprint/size_mb", False),
        ("footprint/largest_batch", True),
        ("startup/load_ms", False),
        ("energy/j_per_1000", False),
        ("server/p99_ms", False),
        ("server/max_rate_per_s", True),
        ("concurrent/samples_per_s_x2", True),
        ("placement/copies", False),
        ("placement/time_share", True),
        ("parity/max_abs_error", False),
        ("sparsity", True),
        ("quality/accuracy", True),
        ("quality/agreement", True),
        ("quality/accuracy_drop", False),
        ("quality/mse", False),
        ("quality/dice", False),
    ],
)
def test_metrics_know_their_direction(metric: str, expected: bool) -> None:
    assert greater_is_better(metric, {"dice": False, "accuracy": None}) is expected


def test_a_metric_that_no_variant_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        check_names(["quality/acuracy"], [row("a/onnx", quality__accuracy=1)])
    assert caught.value.fix == "Did you mean 'quality/accuracy'?"


def test_where_nothing_was_measured_no_name_is_wrong() -> None:
    check_names(["quality/accuracy"], [VariantReport(run_name="a/onnx", failure="boom")])
