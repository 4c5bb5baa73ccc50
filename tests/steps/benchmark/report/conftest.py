"""Reports as a benchmark leaves them."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.artifacts import Reports, VariantReport


def row(name: str, p50: float, accuracy: float, **more: Any) -> VariantReport:
    """A variant whose latency is known to a tenth."""
    return VariantReport(
        run_name=name,
        metrics={
            "quality/accuracy": accuracy,
            "quality/accuracy_drop": 0.95 - accuracy,
            "quality/agreement": 1.0,
            "latency/p50_ms": p50,
            "latency/p50_ms_b32": p50 * 20,
            "throughput/samples_per_s": 1000 / p50,
            "footprint/size_mb": 1.0 if name.startswith("base") else 0.25,
            "footprint/host_peak_mb": 100.0,
        },
        intervals={"latency/p50_ms": (p50 * 0.9, p50 * 1.1)},
        **more,
    )


@pytest.fixture
def reports() -> Reports:
    """A base, one that is faster, one that can't be told apart, and one that failed."""
    curve = {"seconds": [0, 1, 2, 3], "mb": [50, 90, 100, 80], "marks": [[1, "loaded"]]}
    operators = {
        "title": "Operators that take most time",
        "columns": ["operator", "ms a run", "share"],
        "rows": [["Conv", 0.61234, "61 %"], ["<Relu>", None, "2 %"]],
        "note": "Profiled at batch 1.",
    }
    return Reports(
        rows=(
            row("base/onnx", 1.0, 0.95),
            row("fast/onnx", 0.5, 0.90),
            row("same/onnx", 1.05, 0.95, notes=("may be unstable, because of other load",)),
            VariantReport(run_name="bad/onnx", failure="It crashed.\n  Fix: x"),
        ),
        environment={
            "device": "cpu",
            "machine": {"processor": "P", "processors": 2},
            "reference": "base/onnx",
            "examples": 1000,
            "config": {"batch_sizes": (1, 32), "server": {"precision": 0.05}},
            "variants": {
                "base/onnx": {"memory": {"curve": curve}, "tables": [operators]},
                "fast/onnx": {
                    "in_force": "2 threads",
                    "quality": {"drops": {"accuracy": {"drop": 0.05, "verdict": "worse"}}},
                },
                "same/onnx": {
                    "quality": {"drops": {"accuracy": {"drop": 0.0, "verdict": "unchanged"}}}
                },
            },
        },
    )
