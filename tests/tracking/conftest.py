from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.engine.events import ModelFile
from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.tracker import Tracker


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store with its tables, which take MLflow seconds to make."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with contextlib.chdir(path.parent):  # MLflow makes a folder in the current one
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def destination(tmp_path: Path, empty_database: Path) -> Destination:
    (tmp_path / "metadata").mkdir()
    shutil.copy(empty_database, tmp_path / "metadata/mlflow.db")
    return Destination.resolve(tmp_path, experiment={"name": "digits"}, environ={})


@pytest.fixture
def client(destination: Destination) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(destination.tracking_uri)


@pytest.fixture
def make_tracker(destination: Destination, tmp_path: Path) -> Callable[..., Tracker]:
    """A tracker as a new command would make it: only the ledger's file remembers."""

    def make(to: Destination = destination, **options: Any) -> Tracker:
        return Tracker(to, tmp_path / "ledger.json", recipe="digits", profile="local", **options)

    return make


@pytest.fixture(scope="session")
def doubling_onnx(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """A model that doubles its input, with an example batch."""
    import onnx
    from onnx import TensorProto, helper

    folder = tmp_path_factory.mktemp("onnx")
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 3]) for n in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])], "g", value[:1], value[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "examples.npz", x=np.arange(12, dtype=np.float32).reshape(4, 3))
    return ModelFile(
        run="int8/onnx",
        format="onnx",
        path=folder / "model.onnx",
        inputs=(TensorSpec(name="x", dtype="float32", shape=(None, 3)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(None, 3)),),
        examples=folder / "examples.npz",
    )
