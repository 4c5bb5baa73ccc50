"""An ONNX model whose weights lie beside it is logged whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.events import ModelFile
from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.model_jobs import job_of
from mlflow_tfconv.tracking.models import log_models

pytestmark = pytest.mark.mlflow


@pytest.fixture
def parted_onnx(doubling_onnx: ModelFile, tmp_path: Path) -> ModelFile:
    """The model that doubles, by a factor in a file of its own."""
    model = onnx.load(doubling_onnx.path)
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Mul", ["x", "two"], ["y"]))
    model.graph.initializer.append(numpy_helper.from_array(np.full(3, 2, np.float32), "two"))
    path = tmp_path / "parted" / "model.onnx"
    (path.parent / "weights").mkdir(parents=True)
    onnx.save(model, path, save_as_external_data=True, location="weights/two.bin", size_threshold=0)
    return dataclasses.replace(doubling_onnx, path=path)


def test_both_files_are_logged_and_mlflow_loads_them(
    client: Any, destination: Destination, parted_onnx: ModelFile, tmp_path: Path
) -> None:
    import mlflow

    from mlflow_tfconv.tracking.default_server import default_server

    experiment = client.create_experiment("models", artifact_location=destination.artifact_location)
    run = client.create_run(experiment).info.run_id
    job = job_of(parted_onnx, run, destination.tracking_uri, Device(), recipe="digits")
    (result,) = log_models([job])
    assert (result["failure"], result["problem"], result["max_abs_error"]) == (None, None, 0.0)
    with default_server(destination.tracking_uri):
        folder = Path(mlflow.artifacts.download_artifacts(result["uri"], dst_path=str(tmp_path)))
        model = mlflow.onnx.load_model(result["uri"])
        size = mlflow.models.Model.load(result["uri"]).model_size_bytes
    assert (folder / "weights/two.bin").read_bytes() == np.full(3, 2, np.float32).tobytes()
    assert size >= 12 + (folder / "model.onnx").stat().st_size
    np.testing.assert_array_equal(numpy_helper.to_array(model.graph.initializer[0]), [2, 2, 2])
