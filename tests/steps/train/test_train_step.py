from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.cards import Picture
from mlflow_tfconv.engine.events import ArtifactFile, Metric, Param, Progress
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps import TrainConfig, TrainStep
from mlflow_tfconv.steps.train.config import EarlyStoppingConfig

Make = Callable[..., Path]


def test_a_training_leaves_the_model_its_history_and_a_card(
    dataset: Dataset, recipe: Make, workdir: Path
) -> None:
    context = StepContext(recipe_root=recipe())
    result = TrainStep(TrainConfig(epochs=2, batch_size=16)).run(dataset, workdir, context)
    assert keras.models.load_model(result.output.path).compiled
    assert set(result.output.history) >= {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert {len(values) for values in result.output.history.values()} == {2}
    assert result.card.title.startswith("Trained 2 of 2 epochs: val_loss best at epoch ")
    picture = next(part for part in result.card.parts if isinstance(part, Picture))
    assert picture.path.read_bytes().startswith(b"\x89PNG")
    assert not (workdir / "resume").exists()


def test_metrics_are_told_while_it_trains(dataset: Dataset, recipe: Make, workdir: Path) -> None:
    events: list[object] = []
    context = StepContext(recipe_root=recipe(), emit=events.append)
    config = TrainConfig(epochs=2, batch_size=16, params={"dropout": 0.1})
    TrainStep(config).run(dataset, workdir, context)
    metrics = [(e.name, e.step) for e in events if isinstance(e, Metric)]
    assert metrics[:4] == [
        ("accuracy", 1), ("loss", 1), ("val_accuracy", 1), ("val_loss", 1)
    ]  # fmt: skip
    assert metrics[-2:] == [("test_accuracy", 0), ("test_loss", 0)]
    params = {e.name: e.value for e in events if isinstance(e, Param)}
    assert params["params.dropout"] == 0.1
    assert params["optimizer"] == "Adam"
    bars = [e for e in events if isinstance(e, Progress)]
    assert (bars[-1].done, bars[-1].total) == (2, 2)
    assert "loss" in bars[-1].detail


def test_the_logs_are_tensorboards(dataset: Dataset, recipe: Make, workdir: Path) -> None:
    events: list[object] = []
    context = StepContext(recipe_root=recipe(), emit=events.append)
    TrainStep(TrainConfig(epochs=2, batch_size=16)).run(dataset, workdir, context)
    logs = next(e.path for e in events if isinstance(e, ArtifactFile))
    assert logged_epochs(logs / "train") == logged_epochs(logs / "validation") == [0, 1]


def test_the_weights_of_the_best_epoch_are_kept(
    dataset: Dataset, recipe: Make, workdir: Path
) -> None:
    worse = "\ndef callbacks_fn():\n    return [keras.callbacks.LearningRateScheduler(rate)]\n"
    rate = "\ndef rate(epoch):\n    return 0.01 if epoch < 2 else 100.0\n"
    context = StepContext(recipe_root=recipe(worse + rate))
    result = TrainStep(TrainConfig(epochs=4, batch_size=16)).run(dataset, workdir, context)
    losses = result.output.history["val_loss"]
    assert min(losses) in losses[:2]
    assert measured_loss(result.output.path, dataset) == pytest.approx(min(losses), rel=1e-4)


def test_the_same_seed_gives_the_same_training(
    dataset: Dataset, recipe: Make, tmp_path: Path
) -> None:
    histories = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / f"run {number}"
        folder.mkdir()
        config = TrainConfig(epochs=2, batch_size=16, seed=seed)
        result = TrainStep(config).run(dataset, folder, StepContext(recipe_root=recipe()))
        histories.append(result.output.history["loss"])
    assert histories[0] == pytest.approx(histories[1], rel=1e-5)
    assert histories[0] != pytest.approx(histories[2], rel=1e-3)


def test_early_stopping_ends_it(dataset: Dataset, recipe: Make, workdir: Path) -> None:
    stopping = EarlyStoppingConfig(patience=2, min_delta=1e6)
    config = TrainConfig(epochs=9, batch_size=16, early_stopping=stopping)
    result = TrainStep(config).run(dataset, workdir, StepContext(recipe_root=recipe()))
    assert len(result.output.history["loss"]) == 3
    title = result.card.title
    assert title.startswith("Stopped early after 3 of 9 epochs: val_loss best at epoch ")
    assert "(val_accuracy " in title


def test_a_metric_that_a_users_callback_adds_can_be_monitored(
    dataset: Dataset, recipe: Make, workdir: Path
) -> None:
    code = """
class Odd(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["val_odd"] = abs(epoch - 1)

def callbacks_fn():
    return [Odd()]
"""
    config = TrainConfig(epochs=3, batch_size=16, monitor="val_odd", mode="min")
    result = TrainStep(config).run(dataset, workdir, StepContext(recipe_root=recipe(code)))
    assert "val_odd best at epoch 2" in result.card.title
    assert result.output.history["val_odd"] == (1, 0, 1)


def test_a_model_can_adapt_to_the_data_first(dataset: Dataset, recipe: Make, workdir: Path) -> None:
    model = """
import keras
from keras import layers

def prepare_fn(dataset, spec):
    scale = layers.Normalization()
    scale.adapt(dataset.map(lambda image, kind: image))
    return {"scale": scale}

def model_fn(spec, scale):
    image = keras.Input(spec.inputs["image"].shape, name="image")
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(scale(image))))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
"""
    context = StepContext(recipe_root=recipe(model=model))
    result = TrainStep(TrainConfig(epochs=1, batch_size=16)).run(dataset, workdir, context)
    scale = keras.models.load_model(result.output.path).layers[1]
    assert float(keras.ops.mean(scale.mean)) == pytest.approx(1.0, abs=0.2)


def logged_epochs(folder: Path) -> list[int]:
    """The steps of the scalar epoch_loss in a folder of event files, each as often as it is there."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return [
        event.step
        for file in sorted(folder.glob("events.*"))
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.tag == "epoch_loss"
    ]


def measured_loss(model: Path, dataset: Dataset) -> float:
    from mlflow_tfconv.data.reading import read_dataset

    return keras.models.load_model(model).evaluate(
        read_dataset(dataset, "validation", 16), verbose=0, return_dict=True
    )["loss"]
