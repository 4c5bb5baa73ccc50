"""The names in the picture never lie on each other."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.memory_picture import memory_over_time
from mlflow_tfconv.steps.benchmark.report.pictures import _apart, quality_against_latency


@pytest.mark.parametrize("heights", [[0.5] * 7, [0.1, 0.9, 0.9, 0.95], [0.97] * 16, [0.3]])
def test_names_keep_their_distance_and_stay_in_the_frame(heights: list[float]) -> None:
    moved = _apart(heights, 1 / 16)
    assert min(moved) >= 0
    assert max(moved) <= 1
    gaps = [upper - lower for lower, upper in itertools.pairwise(moved)]
    assert all(gap >= 1 / 16 - 1e-9 for gap in gaps)


def test_names_with_room_stay_at_the_height_of_their_points() -> None:
    assert _apart([0.1, 0.5, 0.9], 1 / 16) == [0.1, 0.5, 0.9]


def test_one_point_is_no_picture(tmp_path: Path) -> None:
    metrics = {"latency/p50_ms": 1.0, "quality/mae": 0.5}
    rows = tuple(VariantReport(run_name=f"{n}/onnx", metrics=metrics) for n in "ab")
    assert quality_against_latency(Reports(rows=rows[:1]), "quality/mae", tmp_path / "p") is None
    text = quality_against_latency(Reports(rows=rows), "quality/mae", tmp_path / "p.png")
    assert str(text).startswith("quality/mae against latency at batch 1")
    assert (tmp_path / "p.png").is_file()


def test_memory_that_nobody_watched_is_no_picture(reports: Reports, tmp_path: Path) -> None:
    assert memory_over_time(Reports(rows=reports.rows), tmp_path / "p.png") is None
    assert not (tmp_path / "p.png").exists()


def test_memory_is_drawn_with_gaps_and_gpu(reports: Reports, tmp_path: Path) -> None:
    small = {"seconds": [0, 1, 2], "mb": [1, None, 2], "gpu_mb": [None, 5, 6]}
    variants = {**reports.environment["variants"], "fast/onnx": {"memory": {"curve": small}}}
    watched = Reports(rows=reports.rows, environment={"variants": variants})
    text = memory_over_time(watched, tmp_path / "p.png")
    assert text == "Memory over time. Most: base/onnx (100 MB). Least: fast/onnx (2 MB)."
    assert (tmp_path / "p.png").is_file()


def test_intervals_are_drawn(reports: Reports, tmp_path: Path) -> None:
    text = quality_against_latency(reports, "quality/accuracy", tmp_path / "p.png")
    assert "Fastest: fast/onnx (0.5 ms, 0.9)" in str(text)
