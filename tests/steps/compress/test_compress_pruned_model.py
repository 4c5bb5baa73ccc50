"""The pruned model as ONNX."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_tfconv.errors import ParityError
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.compress.config import PruneConfig
from mlflow_tfconv.steps.compress.prune_once import prune_once
from mlflow_tfconv.steps.compress.pruned_model import require_parity


def test_an_export_that_disagrees_is_refused(
    keras_file: Path, onnx_file: Path, tmp_path: Path
) -> None:
    assert require_parity(open_runtime(keras_file), onnx_file, None).passed
    prune_once(onnx_file, tmp_path / "other.onnx", PruneConfig(sparsity=0.9))
    with pytest.raises(ParityError, match="disagrees") as caught:
        require_parity(open_runtime(keras_file), tmp_path / "other.onnx", None)
    assert caught.value.report is not None


def test_depthwise_kernels_are_left_alone(tmp_path: Path) -> None:
    import keras

    from mlflow_tfconv.device import Device
    from mlflow_tfconv.steps.compress.export_onnx import export_onnx

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.DepthwiseConv2D(3, name="depth"),
            layers.Conv2D(8, 1, name="point"),
        ]
    )
    model.save(tmp_path / "m.keras")
    export_onnx(tmp_path / "m.keras", tmp_path / "m.onnx", device=Device())
    zeros = prune_once(tmp_path / "m.onnx", tmp_path / "p.onnx", PruneConfig(sparsity=0.5))
    assert list(zeros.values()) == [16]
