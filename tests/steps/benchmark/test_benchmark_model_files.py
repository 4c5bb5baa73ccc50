"""A model's files: a folder's, or an ONNX file's with its external data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.model_files import files_digest, model_files, size_bytes


def with_external_data(model: Path) -> Path:
    onnx.save(
        onnx.load(model), model, save_as_external_data=True, location="w.data", size_threshold=0
    )
    return model


def test_external_data_belongs_to_the_model(make_model: Any) -> None:
    model = with_external_data(make_model())
    assert [file.name for file in model_files(model)] == ["m.onnx", "w.data"]
    assert size_bytes(model) == model.stat().st_size + (model.parent / "w.data").stat().st_size


def test_the_digest_changes_with_external_data(make_model: Any) -> None:
    model = with_external_data(make_model())
    before = files_digest(model)
    data = model.parent / "w.data"
    data.write_bytes(b"\1" * data.stat().st_size)
    assert files_digest(model) != before


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "m" / "variables").mkdir(parents=True)
    (tmp_path / "m" / "saved_model.pb").write_bytes(b"123")
    (tmp_path / "m" / "variables" / "v").write_bytes(b"4567")
    assert size_bytes(tmp_path / "m") == 7


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no model at this path"):
        model_files(tmp_path / "gone.onnx")
