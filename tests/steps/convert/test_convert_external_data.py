"""Models too large for one file: what lies beside model.onnx is put in place and replaced with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import onnx
import pytest
from keras import layers

import mlflow_tfconv as tfconv
from mlflow_tfconv.engine.events import VariantRun
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.formats.model_files import model_bytes
from mlflow_tfconv.steps import ConvertConfig, ConvertStep

BOTH = {"model.onnx", "model.onnx.data"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    image = keras.Input((64,), name="image")
    keras.utils.set_random_seed(0)
    model = keras.Model(image, layers.Dense(64, name="a")(layers.Dense(64, name="b")(image)))
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def converted(source: Path, folder: Path, most_bytes: int, **config: Any) -> tuple[Any, list[Any]]:
    """As a recipe does it, in forks that know what is too large for one file."""
    events: list[Any] = []
    folder.mkdir(exist_ok=True)
    step = ConvertStep(ConvertConfig(formats=("onnx",), **config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlflow_tfconv.exporters.write_onnx.MOST_FILE_BYTES", most_bytes)
        patch.setattr("mlflow_tfconv.exporters.save_onnx._LARGEST_SINGLE_FILE", most_bytes)
        result = step.run(source, folder, StepContext(emit=events.append, own_process=True))
    return result, events


def onnx_files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith("model.onnx")}


def test_weights_beside_the_file_come_into_place_and_go_with_it(
    source: Path, tmp_path: Path
) -> None:
    out, sizes = tmp_path / "out", []
    for most_bytes, files in ((8000, BOTH), (8000, BOTH), (10**6, {"model.onnx"})):
        result, _ = converted(source, out, most_bytes)
        assert onnx_files(out) == files
        assert result.output.parity["onnx"].passed
        onnx.load(result.output.onnx)
        sizes.append(model_bytes(result.output.onnx))
    assert all(size > 2 * 64 * 64 * 4 for size in sizes)


def test_the_card_and_the_fingerprint_are_of_both_files(source: Path, tmp_path: Path) -> None:
    result, events = converted(source, tmp_path / "one", 8000)
    data = result.output.onnx.with_name("model.onnx.data")
    data.write_bytes(bytes(data.stat().st_size))
    (before,) = (e.fingerprint for e in events if isinstance(e, VariantRun) and "onnx" in e.run)
    from mlflow_tfconv.engine.digests import Digests

    assert not str(Digests().of(result.output.onnx)).startswith(before)
    assert f"{model_bytes(result.output.onnx) / 1e6:,.3f}" in str(result.card)


def test_half_of_it_may_lie_beside_the_file_too(source: Path, tmp_path: Path) -> None:
    result, _ = converted(source, tmp_path / "out", 8000, precision="float16")
    assert onnx_files(tmp_path / "out") == BOTH
    assert result.output.parity["onnx"].passed
    result, _ = converted(source, tmp_path / "out", 10**6, precision="float16")
    assert onnx_files(tmp_path / "out") == {"model.onnx"}


def test_a_folder_in_the_place_of_the_data_is_said(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "model.onnx.data").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"model\.onnx\.data is a folder"):
        converted(source, tmp_path / "out", 8000)


def test_inspecting_tells_both_sizes_and_what_is_gone(source: Path, tmp_path: Path) -> None:
    result, _ = converted(source, tmp_path / "out", 8000)
    path = result.output.onnx
    info = tfconv.inspect_model(path)
    assert (info.size_bytes, info.missing) == (model_bytes(path), ())
    path.with_name("model.onnx.data").unlink()
    assert tfconv.inspect_model(path).missing == ("model.onnx.data: the weights",)
