"""The curve that a page draws: few points, and none of the peaks lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mlflow_tfconv.steps.benchmark.driver.memory_curve import drawn_curve


def test_a_peak_of_one_point_stays(tmp_path: Path) -> None:
    points = np.zeros((10_001, 4))
    points[:, 0], points[:, 1], points[:, 3] = np.arange(10_001), 50.0, np.nan
    points[7_777, 1] = 900.0
    np.save(tmp_path / "curve.npy", points)
    drawn = drawn_curve(tmp_path / "curve.npy", [{"name": "load", "seconds": [0.0, 5_000.0]}])
    assert len(drawn["seconds"]) <= 250
    assert (max(drawn["mb"]), drawn["seconds"][drawn["mb"].index(900.0)]) == (900.0, 7_777.0)
    assert drawn["marks"] == [[5000.0, "load"]]
    assert "gpu_mb" not in drawn


def test_a_gpu_that_was_seen_now_and_then_has_a_curve_with_gaps(tmp_path: Path) -> None:
    points = np.array([[0, 1, 1, np.nan], [1, 2, 1, 7], [2, 3, 1, np.nan]], float)
    np.save(tmp_path / "curve.npy", points)
    drawn = drawn_curve(tmp_path / "curve.npy")
    assert drawn["gpu_mb"] == [None, 7.0, None]
    json.dumps(drawn, allow_nan=False)
