from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import StepError
from mlflow_tfconv.steps import IngestConfig, IngestStep, TrainConfig, TrainStep
from mlflow_tfconv.steps.train.callbacks_config import LearningRateConfig
from mlflow_tfconv.steps.train.diagnosis.cause import Batch, cause_in_batch, cause_in_model

Make = Callable[..., Path]
FEATURES = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
LABEL = np.zeros(8, "int32")

SPOILT = """
import numpy as np

def load_examples():
    for number in range(120):
        image = np.full((4, 4, 1), number / 120, np.float32)
        if number == 50:
            image[1, 1] = np.nan
        yield {"image": image, "kind": np.int64(number % 3)}
"""
BAD_LAYER = """
@keras.saving.register_keras_serializable()
class Log(layers.Layer):
    def call(self, x):
        return keras.ops.log(x - 0.5)

def model_fn(spec):
    model = keras.Sequential([
        keras.Input(spec.inputs["image"].shape), layers.Flatten(),
        layers.Dense(4, activation="relu"), Log(name="log"), layers.Dense(3, name="head"),
    ])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
"""


class Root(keras.layers.Layer):
    """Has no gradient at 0."""

    def call(self, x: Any) -> Any:
        return keras.ops.sqrt(keras.ops.sum(0.0 * x, axis=-1, keepdims=True))


class Divided(keras.Model):
    """Divides by 0 in code of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = keras.layers.Dense(4, name="a"), keras.layers.Dense(3, name="b")

    def call(self, x: Any, training: bool = False) -> Any:
        del training
        hidden = self.first(x)
        return self.second(hidden / (hidden - hidden))


def functional(*middle: Any, loss: Any = None) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="first"), *middle])
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss or logits)
    return model


def cause(model: Any, features: Any = FEATURES) -> str:
    model(features)
    found = cause_in_model(model, Batch(features=features, label=LABEL), custom=False)
    assert found is not None
    return found.text


def test_features_and_labels_are_named_with_their_counts() -> None:
    spoilt = FEATURES.copy()
    spoilt[2, 1:3], spoilt[5, 0] = np.nan, np.inf
    found = cause_in_batch(Batch(features={"a": FEATURES, "b": spoilt}, label=LABEL))
    assert found is not None
    assert found.text == (
        "the feature 'b' of this batch holds 2 NaN and 1 Inf among 32 values in 2 of 8 examples "
        "(the first is number 2)"
    )
    label = cause_in_batch(Batch(features=FEATURES, label=spoilt, label_names=("y",)))
    assert label is not None
    assert label.text.startswith("the label 'y' of this batch")
    assert cause_in_batch(Batch(features=FEATURES, label=LABEL)) is None


def test_the_first_layer_is_named_with_what_went_in() -> None:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Activation(tf.math.log, name="log")])
    inner.name = "inner"
    text = cause(functional(inner, keras.layers.Dense(3)))
    assert text.startswith("the layer 'inner/log' (Activation) gives ")
    assert " NaN" in text
    assert "from finite inputs (from -" in text


def test_code_between_layers_is_told_by_the_layer_after_it() -> None:
    model = Divided()
    model.compile("adam", "mse")
    text = cause(model)
    assert text.startswith("the layer 'b' (Dense) gives")
    assert "what code of the model gives to it before" in text


def test_a_loss_alone_is_named_with_the_ranges() -> None:
    def beyond(truth: Any, outputs: Any) -> Any:
        del truth
        return keras.ops.log(outputs[:, 0] - 100)

    text = cause(functional(keras.layers.Dense(3), loss=beyond))
    assert text.startswith("the loss beyond is not finite for finite outputs (outputs from ")


def test_a_gradient_is_named_by_its_weight() -> None:
    text = cause(functional(Root(), keras.layers.Dense(3, name="last")))
    assert "the gradient of the weight 'sequential" in text or "/first/bias' has" in text
    assert "though the loss is finite" in text


def test_spoilt_weights_are_named() -> None:
    model = functional(keras.layers.Dense(3))
    model.layers[0].bias.assign([1, np.inf, 3, 4])
    assert "/first/bias' has 1 Inf among 4 values" in f"/{cause(model)}"


def test_layers_are_left_as_they_were() -> None:
    model = functional(keras.layers.Dense(3))
    found = cause_in_model(model, Batch(features=FEATURES, label=LABEL), custom=False)
    assert found is None
    assert all("call" not in vars(layer) for layer in model.layers)


def test_a_spoilt_example_is_found_in_the_data(tmp_path: Path, recipe: Make, workdir: Path) -> None:
    (tmp_path / "data" / "steps").mkdir(parents=True)
    (tmp_path / "data" / "out").mkdir()
    (tmp_path / "data" / "steps" / "ingest.py").write_text(SPOILT)
    ingest = IngestStep(IngestConfig(using="custom", label="kind", split_ratios=(1.0, 0.0, 0.0)))
    context = StepContext(recipe_root=tmp_path / "data")
    data = ingest.run(None, tmp_path / "data" / "out", context).output
    config = TrainConfig(epochs=1, batch_size=8, steps_per_execution=3, monitor="loss")
    with pytest.raises(StepError, match="the feature 'image' of this batch holds 1 NaN") as caught:
        TrainStep(config).run(data, workdir, StepContext(recipe_root=recipe()))
    assert "in 1 of 8 examples" in str(caught.value)
    assert "Training was stopped in epoch 1, batch " in str(caught.value)


def test_training_is_repeated_to_find_the_layer(
    dataset: Dataset, recipe: Make, workdir: Path
) -> None:
    config = TrainConfig(epochs=2, batch_size=16)
    with pytest.raises(StepError, match=r"the layer 'log' \(Log\) gives \d+ NaN"):
        TrainStep(config).run(dataset, workdir, StepContext(recipe_root=recipe(BAD_LAYER)))


def test_a_rate_that_explodes_later_is_told_by_the_weights(
    dataset: Dataset, recipe: Make, workdir: Path
) -> None:
    rate = LearningRateConfig(schedule="step", initial=0.01, at=(1.0,), factor=1e36)
    config = TrainConfig(epochs=3, batch_size=16, learning_rate=rate, steps_per_execution=2)
    with pytest.raises(StepError, match="with weights of up to") as caught:
        TrainStep(config).run(dataset, workdir, StepContext(recipe_root=recipe()))
    assert "stopped in epoch 2, batch " in str(caught.value)
    assert "lower the learning rate" in str(caught.value)
