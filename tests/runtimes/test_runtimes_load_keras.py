from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.load_keras import load_keras


@pytest.mark.parametrize("name", ["lambda.keras", "lambda_python311.h5", "lambda_python312.h5"])
def test_code_in_a_model_is_refused_and_not_executed(
    name: str, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConversionError, match="'evil' is a Lambda"):
        load_keras(hostile / name)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_whose_entries_leave_its_folder_is_refused(hostile: Path) -> None:
    with pytest.raises(ConversionError, match="leave the folder"):
        load_keras(hostile / "zip_traversal.keras")


@pytest.mark.parametrize("name", ["external_link.h5", "external_storage.h5"])
def test_a_file_that_reads_another_file_is_refused(name: str, hostile: Path) -> None:
    with pytest.raises(ConversionError, match="reads another file"):
        load_keras(hostile / name)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_cut_file_is_said_to_be_damaged(suffix: str, model: Any, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    model.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    with pytest.raises(ConversionError, match="damaged"):
        load_keras(path)


def test_a_file_with_a_wrong_suffix_and_an_unusual_path_is_loaded(
    model: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "größe mit leerzeichen"
    folder.mkdir()
    model.save(folder / "model.h5")
    shutil.move(folder / "model.h5", folder / "model.keras")
    image = np.ones((2, 4, 4, 1), np.float32)
    loaded = load_keras(folder / "model.keras")
    np.testing.assert_array_equal(loaded(image), model(image))


def test_an_unknown_layer_says_how_to_register_it(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("passing")
    class Passing(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2,)), Passing()]).save(path)
    keras.saving.get_custom_objects().pop("passing>Passing")
    with pytest.raises(ConversionError, match="register_keras_serializable"):
        load_keras(path)
