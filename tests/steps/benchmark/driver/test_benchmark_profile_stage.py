"""The stage `profile`: asked of every variant in its own way, and compared layer by layer afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.layer_changes import layer_changes
from mlflow_tfconv.steps.benchmark.driver.measurement import Measurement
from mlflow_tfconv.steps.benchmark.driver.profile_stage import (
    PROFILE_ONNX,
    PROFILE_TENSORFLOW,
    findings,
)
from mlflow_tfconv.steps.benchmark.worker.profile_files import PROFILE_FILE, TIMES_FILE


def _variant(kind: str) -> Variant:
    return Variant(name="base", format=kind, path=Path("m"))


def _measured(folder: Path, times: list[float], p50_ms: float, batch_size: int = 1) -> Measurement:
    folder.mkdir()
    names = [f"node{number}" for number in range(len(times))]
    plain = {
        "name": "m",
        "graphs": {},
        "rows_of_times": [[name, "Conv"] for name in names],
        "total_ms": sum(times) / 1e3,
        "profiler_us": 0.0,
        "batch_size": batch_size,
    }
    (folder / PROFILE_FILE).write_text(json.dumps(plain))
    np.save(folder / TIMES_FILE, np.tile(np.float32(times)[:, None], 5))
    samples = {batch_size: np.full(9, int(p50_ms * 1e6))}
    return Measurement(metrics={}, samples=samples, files=(folder / PROFILE_FILE,))


@pytest.mark.parametrize(
    ("kind", "onnx", "tensorflow"),
    [("onnx", True, False), ("saved_model", False, True), ("keras", False, True)],
)
def test_each_format_has_its_own_way(kind: str, onnx: bool, tensorflow: bool) -> None:
    asked = BenchmarkConfig(), _variant(kind), Device()
    assert (PROFILE_ONNX.applies(*asked), PROFILE_TENSORFLOW.applies(*asked)) == (onnx, tensorflow)


@pytest.mark.parametrize("stage", [PROFILE_ONNX, PROFILE_TENSORFLOW])
def test_nothing_is_profiled_when_that_is_not_asked_for(stage: object) -> None:
    config = BenchmarkConfig(profile=False)
    for kind in ("onnx", "saved_model", "keras", "keras_h5"):
        assert not stage.applies(config, _variant(kind), Device())  # type: ignore[attr-defined]


def test_an_answer_becomes_details_notes_and_files(tmp_path: Path) -> None:
    files = {"trace": "trace.json.gz", "profile": PROFILE_FILE, "times": TIMES_FILE}
    answer = {"operators": [], "runs": 9, "notes": ["says this"], "files": files}
    found = findings(answer, tmp_path)
    assert found.files[0] == tmp_path / "trace.json.gz"
    assert found.notes == ("says this",)
    assert found.details == {"operators": [], "runs": 9, "trace": "trace.json.gz"}


def test_a_variant_is_compared_with_the_first_of_its_format(tmp_path: Path) -> None:
    found = layer_changes(
        {
            "base/saved_model": _measured(tmp_path / "s", [900, 900], 1.8),
            "base/onnx": _measured(tmp_path / "b", [100, 200], 0.3),
            "int8/onnx": _measured(tmp_path / "i", [150, 50], 0.2),
        }
    )
    assert list(found) == ["int8/onnx"]
    assert found["int8/onnx"]["reference"] == "base/onnx"
    assert [layer["name"] for layer in found["int8/onnx"]["slower"]] == ["node0"]


def test_profiles_of_a_busier_moment_are_brought_to_the_latency(tmp_path: Path) -> None:
    base = _measured(tmp_path / "b", [100, 200], 0.3)
    busy = _measured(tmp_path / "i", [150, 300], 0.3)
    assert layer_changes({"base/onnx": base, "same/onnx": busy})["same/onnx"]["slower"] == ()


def test_without_profiles_or_with_other_batches_nothing_is_compared(tmp_path: Path) -> None:
    base = _measured(tmp_path / "b", [100], 0.1)
    other = _measured(tmp_path / "o", [100], 0.1, batch_size=8)
    none = Measurement(metrics={})
    assert layer_changes({"a/onnx": base, "b/onnx": other, "c/onnx": none}) == {}
