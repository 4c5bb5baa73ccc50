"""A model is measured with all its files: a folder's, or an ONNX file's with its external data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.formats.model_files import model_bytes
from mlflow_tfconv.steps.benchmark.model_files import files_digest
from mlflow_tfconv.steps.benchmark.step import benchmark


def with_external_data(model: Path, location: str = "w.data") -> Path:
    onnx.save(
        onnx.load(model), model, save_as_external_data=True, location=location, size_threshold=0
    )
    return model


def test_the_digest_changes_with_external_data(make_model: Any) -> None:
    model = with_external_data(make_model())
    before = files_digest(model)
    data = model.parent / "w.data"
    data.write_bytes(b"\1" * data.stat().st_size)
    assert files_digest(model) != before


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no model at this path"):
        files_digest(tmp_path / "gone.onnx")


def test_models_with_external_data_are_measured_where_they_lie(make_model: Any, quick: Any) -> None:
    whole, parted = make_model("whole"), with_external_data(make_model("parted"))
    leaving = make_model("leaving")
    proto = onnx.load(with_external_data(leaving, "l.data"), load_external_data=False)
    proto.graph.initializer[0].external_data[0].value = "../l.data"
    leaving.write_bytes(proto.SerializeToString())
    report = benchmark([whole, parted, leaving], config=quick)
    rows = {row.run_name: row for row in report.rows}
    size = rows["parted/onnx"].metrics["footprint/size_mb"]
    assert size == model_bytes(parted) / 1e6 > parted.stat().st_size / 1e6
    assert rows["parted/onnx"].failure is None
    assert "outside of its folder" in str(rows["leaving/onnx"].failure)
