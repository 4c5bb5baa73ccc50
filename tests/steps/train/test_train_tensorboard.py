from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import ArtifactFile, Message
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps import TrainConfig, TrainStep
from mlflow_tfconv.steps.train.callbacks_config import CheckpointsConfig, TensorBoardConfig

Make = Callable[..., Path]

OWN_STEP = """
class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(3)

    def call(self, x, training=False):
        return self.dense(self.flat(x))

    def train_step(self, data):
        return super().train_step(data)

def model_fn(spec):
    model = Own()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss=loss)
    return model
"""


def logged(folder: Path) -> set[tuple[str, int]]:
    """Tag and step of all that was logged."""
    found = set()
    for file in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            found |= {(value.tag, event.step) for value in event.summary.value}
    return found


def test_histograms_are_of_weights_and_gradients(
    dataset: Dataset, recipe: Make, workdir: Path
) -> None:
    board = TensorBoardConfig(histograms_every=2)
    config = TrainConfig(epochs=3, batch_size=32, tensorboard=board)
    TrainStep(config).run(dataset, workdir, StepContext(recipe_root=recipe()))
    found = logged(workdir / "tensorboard" / "train")
    kernels = {(tag, step) for tag, step in found if tag.endswith("/dense/kernel")}
    assert {step for _, step in kernels} == {0, 2}
    assert {tag.split("/")[0] for tag, _ in kernels} == {"weights", "gradients"}
    assert ("epoch_learning_rate", 2) in found
    assert ("epoch_training/host_peak_mb", 2) in found


@pytest.mark.slow
def test_histograms_change_nothing(dataset: Dataset, recipe: Make, tmp_path: Path) -> None:
    histories = []
    for every in (0, 1):
        folder = tmp_path / f"every {every}"
        folder.mkdir()
        board = TensorBoardConfig(histograms_every=every)
        config = TrainConfig(epochs=2, batch_size=32, tensorboard=board)
        result = TrainStep(config).run(dataset, folder, StepContext(recipe_root=recipe()))
        histories.append(result.output.history)
    assert histories[0] == histories[1]


def test_gradients_of_a_training_step_of_its_own_are_left_out_and_it_is_said(
    dataset: Dataset, recipe: Make, workdir: Path
) -> None:
    events: list[object] = []
    context = StepContext(recipe_root=recipe(OWN_STEP), emit=events.append)
    board = TensorBoardConfig(histograms_every=1)
    TrainStep(TrainConfig(epochs=2, batch_size=32, tensorboard=board)).run(
        dataset, workdir, context
    )
    told = [e.text for e in events if isinstance(e, Message) and "gradients" in e.text]
    assert len(told) == 1
    tags = {tag for tag, _ in logged(workdir / "tensorboard" / "train")}
    assert any(tag.startswith("weights/") for tag in tags)
    assert not any(tag.startswith("gradients/") for tag in tags)


def test_models_of_the_last_epochs_are_kept(dataset: Dataset, recipe: Make, workdir: Path) -> None:
    events: list[object] = []
    context = StepContext(recipe_root=recipe(), emit=events.append)
    (workdir / "checkpoints").mkdir()
    (workdir / "checkpoints" / "epoch-0099.keras").touch()  # of a training that was killed
    config = TrainConfig(epochs=4, batch_size=64, checkpoints=CheckpointsConfig(keep=2))
    TrainStep(config).run(dataset, workdir, context)
    kept = sorted(file.name for file in (workdir / "checkpoints").iterdir())
    assert kept == ["epoch-0003.keras", "epoch-0004.keras"]
    assert "checkpoints" in {e.folder for e in events if isinstance(e, ArtifactFile)}
