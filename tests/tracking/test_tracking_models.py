from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.data.user_code import load_user_module
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.events import ModelFile
from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.model_jobs import job_of
from mlflow_tfconv.tracking.models import log_models, max_difference

pytestmark = pytest.mark.mlflow


@pytest.fixture(scope="module")
def keras_and_saved_model(tmp_path_factory: pytest.TempPathFactory) -> list[ModelFile]:
    import keras

    folder = tmp_path_factory.mktemp("models")
    image = keras.Input((4, 4, 1), name="image")
    scores = keras.layers.Dense(3, name="scores")(keras.layers.Flatten()(image))
    model = keras.Model(image, scores)
    model.save(folder / "model.keras")
    model.export(folder / "saved", verbose=False)
    np.savez(folder / "examples.npz", image=np.ones((8, 4, 4, 1), np.float32))
    return [
        ModelFile(
            run=f"base/{kind}",
            format=kind,
            path=folder / name,
            inputs=(TensorSpec(name="image", dtype="float32", shape=(None, 4, 4, 1)),),
            outputs=(TensorSpec(name=output, dtype="float32", shape=(None, 3)),),
            examples=folder / "examples.npz",
        )
        for kind, name, output in (
            ("keras", "model.keras", "scores"),
            ("saved_model", "saved", "output_0"),
        )
    ]


def log(client: Any, to: Destination, *files: ModelFile) -> list[dict[str, Any]]:
    experiment = client.create_experiment("models", artifact_location=to.artifact_location)
    jobs = []
    for file in files:
        run_id = client.create_run(experiment).info.run_id
        jobs.append(job_of(file, run_id, to.tracking_uri, Device(), recipe="digits"))
    return log_models(jobs)


def test_keras_and_saved_model_come_back_equal(
    client: Any, destination: Destination, keras_and_saved_model: list[ModelFile]
) -> None:
    results = log(client, destination, *keras_and_saved_model)
    assert [(r["failure"], r["problem"], r["max_abs_error"]) for r in results] == [
        (None, None, 0.0),
        (None, None, 0.0),
    ]


def test_what_was_measured_is_what_is_logged(
    client: Any, destination: Destination, keras_and_saved_model: list[ModelFile], tmp_path: Path
) -> None:
    import mlflow

    from mlflow_tfconv.tracking.default_server import default_server

    (result,) = log(client, destination, keras_and_saved_model[0])
    with default_server(destination.tracking_uri):
        folder = Path(mlflow.artifacts.download_artifacts(result["uri"], dst_path=str(tmp_path)))
    original = keras_and_saved_model[0].path.read_bytes()
    assert (folder / "data/model.keras").read_bytes() == original
    assert "keras==" in (folder / "requirements.txt").read_text()
    assert "input_example.json" in {p.name for p in folder.iterdir()}


def test_mlflow_s_own_loader_gives_the_keras_model(
    client: Any, destination: Destination, keras_and_saved_model: list[ModelFile]
) -> None:
    import mlflow

    from mlflow_tfconv.tracking.default_server import default_server

    (result,) = log(client, destination, keras_and_saved_model[0])
    with default_server(destination.tracking_uri):
        model = mlflow.tensorflow.load_model(result["uri"])
        signature = mlflow.models.get_model_info(result["uri"]).signature
    assert model.layers[-1].name == "scores"
    assert signature.inputs.input_names() == ["image"]


def test_a_model_that_cannot_be_logged_leaves_the_others_alone(
    client: Any, destination: Destination, doubling_onnx: ModelFile, tmp_path: Path
) -> None:
    import dataclasses

    broken = dataclasses.replace(doubling_onnx, path=tmp_path / "none.onnx")
    bad, good = log(client, destination, broken, doubling_onnx)
    assert "none.onnx" in bad["failure"]
    assert good["failure"] is None
    assert good["max_abs_error"] == 0.0


def test_on_mlflow_3_it_is_a_logged_model_with_the_variant_s_name(
    client: Any, destination: Destination, doubling_onnx: ModelFile
) -> None:
    (result,) = log(client, destination, doubling_onnx)
    if not hasattr(client, "get_logged_model"):
        assert result["uri"].startswith("runs:/")
        return
    logged = client.get_logged_model(result["model_id"])
    assert logged.name == "int8-onnx"
    assert logged.tags["mlflow.source.name"] == "digits"


def test_onnx_needs_no_tensorflow(destination: Destination, doubling_onnx: ModelFile) -> None:
    import json
    import subprocess
    import sys

    from mlflow import MlflowClient

    client = MlflowClient(destination.tracking_uri)
    experiment = client.create_experiment("x", artifact_location=destination.artifact_location)
    run_id = client.create_run(experiment).info.run_id
    job = job_of(doubling_onnx, run_id, destination.tracking_uri, Device(), recipe="digits")
    code = (
        "import json, sys; from mlflow_tfconv.tracking.models import log_models;"
        "print(log_models(json.loads(sys.argv[1]))[0]['failure'], 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([job])], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["None", "False"]


def test_other_outputs_are_infinitely_far() -> None:
    two = {"a": np.zeros(2), "b": np.zeros(2)}
    assert max_difference(two, {"a": np.zeros(2)}) == float("inf")
    assert max_difference(two, [np.zeros(2), np.ones(2)]) == 1.0
    assert max_difference({"a": np.array([np.nan, 1])}, np.array([np.nan, 1])) == 0.0


def forget(root: Path) -> None:
    import keras

    keras.saving.get_custom_objects().clear()
    sys.path[:] = [folder for folder in sys.path if not Path(folder).is_relative_to(root)]
    for name in ("steps.train", "steps", "twice"):
        sys.modules.pop(name, None)


OWN_CLASS = """
import keras
import twice

@keras.saving.register_keras_serializable()
class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3)

    def call(self, image):
        return twice.doubled(self.dense(keras.ops.reshape(image, (-1, 16))))
"""


def test_a_keras_model_takes_the_code_of_its_own_classes_along(
    client: Any, destination: Destination, keras_and_saved_model: list[ModelFile], tmp_path: Path
) -> None:
    root = tmp_path / "recipe"
    (root / "steps").mkdir(parents=True)
    (root / "steps" / "train.py").write_text(OWN_CLASS)
    (root / "steps" / "twice.py").write_text("def doubled(x):\n    return 2 * x\n")
    model = load_user_module(root, "steps/train.py").Own()
    model(np.ones((1, 4, 4, 1), np.float32))
    model.save(tmp_path / "own.keras")
    forget(root)  # as in another process
    file = replace(keras_and_saved_model[0], path=tmp_path / "own.keras")
    experiment = client.create_experiment("own", artifact_location=destination.artifact_location)
    run_id = client.create_run(experiment).info.run_id
    job = job_of(file, run_id, destination.tracking_uri, Device(), recipe="own", recipe_root=root)
    (result,) = log_models([job])
    assert (result["failure"], result["problem"], result["max_abs_error"]) == (None, None, 0.0)
    code = Path(str(sys.modules["steps.train"].__file__))
    assert code.parts[-3:] == ("code", "steps", "train.py")
    forget(code.parents[1])
