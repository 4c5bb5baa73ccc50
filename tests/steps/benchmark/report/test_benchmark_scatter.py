"""The drawing of quality against latency: every point is in the frame and can be seen."""

from __future__ import annotations

import dataclasses

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.scatter import scatter


def test_the_fastest_is_left_and_the_best_is_on_top(reports: Reports) -> None:
    found = scatter(reports, "accuracy")
    assert found is not None
    assert [point.name for point in found.points] == ["fast/onnx", "base/onnx", "same/onnx"]
    lefts, bottoms = zip(*((p.left, p.bottom) for p in found.points), strict=True)
    assert list(lefts) == sorted(lefts)
    assert min(bottoms) == bottoms[0]
    assert [p.is_reference for p in found.points] == [False, True, False]


def test_points_at_one_place_lie_side_by_side() -> None:
    metrics = {"latency/p50_ms": 1.0, "quality/mae": 0.5}
    rows = tuple(VariantReport(run_name=f"{n}/onnx", metrics=metrics) for n in "abc")
    found = scatter(Reports(rows=rows))
    assert found is not None
    assert [point.aside for point in found.points] == [0.0, 1.5, 3.0]
    assert {(point.left, point.bottom) for point in found.points} == {(50.0, 50.0)}


def test_a_wide_range_is_logarithmic(reports: Reports) -> None:
    slow = dataclasses.replace(
        reports.rows[1], metrics={**reports.rows[1].metrics, "latency/p50_ms": 500.0}
    )
    found = scatter(dataclasses.replace(reports, rows=(reports.rows[0], slow)))
    assert found is not None
    assert found.latency == "p50 ms (logarithmic)"


def test_fewer_than_two_points_are_no_drawing(reports: Reports) -> None:
    assert scatter(Reports(rows=reports.rows[:1])) is None
    assert scatter(Reports(rows=())) is None
    nan = VariantReport(run_name="a", metrics={"latency/p50_ms": 1.0, "quality/r2": float("nan")})
    assert scatter(Reports(rows=(nan, nan))) is None
