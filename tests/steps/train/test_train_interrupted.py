"""A training that goes on within an epoch ends as one that nothing has disturbed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps import TrainConfig
from mlflow_tfconv.steps.train.fit import fit
from mlflow_tfconv.steps.train.functions import TrainFunctions
from mlflow_tfconv.steps.train.training import Training

LAST = 5  # of the 8 batches of two epochs


def model_of(library: Any) -> Any:
    """With noise, statistics of batches, moments and a metric: all that a restart could lose."""
    layers = library.layers
    image = library.Input((4, 4, 1), name="image")
    x = layers.BatchNormalization()(layers.GaussianNoise(0.1)(layers.Flatten()(image)))
    x = layers.Dropout(0.3)(layers.Dense(8, activation="relu")(x))
    model = library.Model(image, layers.Dense(3, dtype="float32")(x))
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(library.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def of_keras(spec: Any) -> Any:
    import keras

    del spec
    return model_of(keras)


def of_tf_keras(spec: Any) -> Any:
    import tf_keras

    del spec
    return model_of(tf_keras)


def own_loop(model: Any, epoch: Any) -> Any:
    import tensorflow as tf

    @tf.function
    def step(features: Any, label: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(y=label, y_pred=model(features, training=True))
        gradients = tape.gradient(loss, model.trainable_weights)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return loss

    for features, label in epoch.batches:
        yield {"loss": step(features, label)}


def counted(stop: bool) -> Any:
    """A callback that counts batches, and stops the process in the midst of an epoch."""
    import keras

    class Count(keras.callbacks.Callback):
        count = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.count += 1
            if stop and self.count == LAST + 1:
                raise KeyboardInterrupt

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["count"] = self.count

    return Count()


def run(
    dataset: Dataset, workdir: Path, functions: TrainFunctions, config: TrainConfig
) -> tuple[Training, list[Any]]:
    workdir.mkdir(exist_ok=True)
    events: list[Any] = []
    context = StepContext(emit=events.append)
    return fit(dataset, workdir, context, config, functions=functions), events


@pytest.mark.parametrize(
    ("functions", "config"),
    [
        pytest.param(
            TrainFunctions(model_fn=of_keras),
            {"gradient_accumulation": 3, "mixed_precision": "float16", "class_weight": "balanced"},
            id="keras, accumulating, in float16",
        ),
        pytest.param(
            TrainFunctions(model_fn=of_tf_keras), {}, id="tf_keras", marks=pytest.mark.slow
        ),
        pytest.param(
            TrainFunctions(model_fn=of_keras, train_fn=own_loop), {}, id="a loop of one's own"
        ),
    ],
)
def test_a_training_that_was_interrupted_within_an_epoch_ends_as_if_it_had_not_been(
    dataset: Dataset, tmp_path: Path, functions: TrainFunctions, config: dict[str, Any]
) -> None:
    asked = TrainConfig(epochs=2, batch_size=16, backup_every_steps=1, **config)
    is_keras = functions.model_fn is of_keras
    calm = dataclasses.replace(
        functions, callbacks_fn=(lambda: [counted(False)]) if is_keras else None
    )
    whole, _ = run(dataset, tmp_path / "whole", calm, asked)
    interrupted = dataclasses.replace(functions, callbacks_fn=lambda: [stopping(functions)])
    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path / "work", interrupted, asked)
    (kept,) = (tmp_path / "work" / "resume").glob(f"epoch-000001-step-{LAST - 4:09d}")
    assert kept.is_dir()
    resumed, events = run(dataset, tmp_path / "work", calm, asked)
    assert any("goes on after epoch 1 and 1 batches" in e.text for e in told(events))
    assert set(resumed.history) == set(whole.history)
    for name, values in whole.history.items():
        np.testing.assert_allclose(resumed.history[name], values, rtol=1e-4, atol=1e-5)


def told(events: list[Any]) -> list[Message]:
    return [event for event in events if isinstance(event, Message)]


def stopping(functions: TrainFunctions) -> Any:
    if functions.model_fn is of_keras:
        return counted(True)
    import tf_keras

    class Stop(tf_keras.callbacks.Callback):
        count = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.count += 1
            if self.count == LAST + 1:
                raise KeyboardInterrupt

    return Stop()
