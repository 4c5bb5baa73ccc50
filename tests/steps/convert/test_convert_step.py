from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlflow_tfconv.artifacts import Checkpoint, Dataset
from mlflow_tfconv.data.user_code import load_user_module
from mlflow_tfconv.engine.codec import decode, encode
from mlflow_tfconv.engine.events import Metric, ModelFile, VariantRun
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps import ConvertConfig, ConvertStep, IngestConfig, IngestStep

EXAMPLES = """
import numpy as np

def load_examples():
    for number in range(40):
        image = np.full((8, 8, 1), number % 16, np.float32)
        yield {"picture": image, "other": np.float32(1), "digit": np.int64(number % 3)}
"""

TRAIN = """
import keras

@keras.saving.register_keras_serializable("convert-step")
class Halved(keras.layers.Layer):
    def call(self, x):
        return x / 2
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    root, workdir = tmp_path / "recipe", tmp_path / "ingested"
    (root / "steps").mkdir(parents=True)
    workdir.mkdir()
    (root / "steps/ingest.py").write_text(EXAMPLES)
    step = IngestStep(IngestConfig(using="custom", label="digit"))
    output: Dataset = step.run(None, workdir, StepContext(recipe_root=root)).output
    return output


def run(step: ConvertStep, source: Any, folder: Path, **context: Any) -> tuple[Any, list[Any]]:
    events: list[Any] = []
    folder.mkdir()
    result = step.run(source, folder, StepContext(emit=events.append, **context))
    return result, events


def test_exports_are_compared_on_real_test_examples(
    cnn_file: Path, dataset: Dataset, tmp_path: Path
) -> None:
    step = ConvertStep(ConvertConfig(input_map={"image": "picture"}, parity_examples=2))
    result, _ = run(step, Checkpoint(path=cnn_file), tmp_path / "work", dataset=dataset)
    report = result.output.parity["onnx"]
    expected = min(2, dataset.counts["test"])
    assert (report.examples, report.samples) == (expected, "examples of the split 'test'")
    images = np.load(tmp_path / "work/examples.npz")["image"]
    assert all(len(np.unique(image)) == 1 for image in images)
    assert "agree with the source" in result.card.title


def test_each_format_gets_a_run_with_its_model_and_its_parity(
    cnn_file: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    result, events = run(ConvertStep(ConvertConfig()), Checkpoint(path=cnn_file), work)
    runs = ["base/keras", "base/saved_model", "base/onnx"]
    assert [e.run for e in events if isinstance(e, VariantRun)] == runs
    models = [e for e in events if isinstance(e, ModelFile)]
    assert [m.path for m in models] == [cnn_file, work / "saved_model", work / "model.onnx"]
    assert all(m.examples == work / "examples.npz" for m in models)
    metrics = [e for e in events if isinstance(e, Metric)]
    assert {(m.run, m.name) for m in metrics} == {
        (name, "parity/max_abs_error") for name in runs[1:]
    }
    assert decode(encode(result.output, work), tmp_path / "moved").onnx == (
        tmp_path / "moved/model.onnx"
    )


def test_a_recipe_without_training_starts_from_a_file(cnn_file: Path, tmp_path: Path) -> None:
    recipe, work = tmp_path / "recipe", tmp_path / "work"
    recipe.mkdir()
    shutil.move(cnn_file, recipe / "model.keras")
    step = ConvertStep(ConvertConfig(source="model.keras", formats=("onnx",)))
    result, _ = run(step, None, work, recipe_root=recipe)
    assert step.inputs() == (Path("model.keras"),)
    assert result.output.source == work / "source.keras"
    assert result.output.saved_model is None
    assert "no data to compare" in result.output.warnings[0]


def test_layers_that_the_recipe_registers_are_known(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    (recipe / "steps").mkdir(parents=True)
    (recipe / "steps/train.py").write_text(TRAIN)
    halved = load_user_module(recipe, "steps/train.py").Halved
    keras.Sequential([keras.Input((2,), name="x"), halved()]).save(tmp_path / "model.keras")
    del sys.modules["steps.train"]
    keras.saving.get_custom_objects().pop("convert-step>Halved")
    checkpoint = Checkpoint(path=tmp_path / "model.keras")
    result, _ = run(ConvertStep(ConvertConfig()), checkpoint, tmp_path / "w", recipe_root=recipe)
    assert result.output.parity["onnx"].passed


def test_a_step_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"convert\.source"):
        run(ConvertStep(ConvertConfig()), None, tmp_path / "work")


@pytest.mark.parametrize(
    "options",
    [{"formats": ()}, {"formats": ("onnx", "onnx")}, {"opset": 12}, {"parity_examples": 0}],
)
def test_a_config_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ConvertConfig(**options)
