"""Small models of many kinds."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from mlflow_tfconv.engine.codec import decode, encode
from mlflow_tfconv.engine.guarded import Guard
from mlflow_tfconv.engine.guarded_child import Voice


def cnn() -> Any:
    """Rescaling, batch norm, pooling and dropout, as image classifiers have them."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Rescaling(1 / 16),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax", name="digit"),
        ]
    )


def normalised() -> Any:
    """What EfficientNet begins with: constants that some converters make into inputs."""
    image = keras.Input((8, 8, 3), name="image")
    scaled = layers.Rescaling(1 / 255.0)(image)
    even = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3])(scaled)
    features = layers.Conv2D(2, 3, activation="swish")(even)
    return keras.Model(image, layers.GlobalAveragePooling2D(name="features")(features))


def several_inputs_and_outputs() -> Any:
    """Dicts of named tensors, one of them integers; names that no Python identifier can have."""
    image = keras.Input((4, 4, 1), name="in-image")
    words = keras.Input((3,), dtype="int32", name="words")
    both = layers.Concatenate()(
        [layers.Flatten()(image), layers.Flatten()(layers.Embedding(5, 2)(words))]
    )
    outputs = {"score/raw": layers.Dense(1)(both), "kind": layers.Dense(2)(both)}
    return keras.Model({"in-image": image, "words": words}, outputs)


def lstm() -> Any:
    """Both directions over masked words of any length."""
    words = keras.Input((None,), dtype="int32", name="words")
    embedded = layers.Embedding(8, 4, mask_zero=True)(words)
    return keras.Model(
        words, layers.Dense(2, name="kind")(layers.Bidirectional(layers.LSTM(3))(embedded))
    )


def gru() -> Any:
    """Two layers, one over the other."""
    steps = keras.Input((5, 2), name="steps")
    return keras.Model(
        steps, layers.GRU(2, name="last")(layers.GRU(3, return_sequences=True)(steps))
    )


def transformer() -> Any:
    """One block, with the exact GELU."""
    words = keras.Input((6,), dtype="int32", name="words")
    x = layers.Embedding(8, 8)(words)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    x = layers.LayerNormalization()(x + layers.Dense(8)(layers.Dense(16, activation="gelu")(x)))
    return keras.Model(words, layers.Dense(2, name="kind")(layers.GlobalAveragePooling1D()(x)))


@keras.saving.register_keras_serializable("convert-tests")
class Subclassed(keras.Model):  # type: ignore[misc]
    """Gives a dict, and has an argument `training`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.dense = layers.Dense(3)
        self.dropout = layers.Dropout(0.5)

    def call(self, pixels: Any, training: bool = False) -> Any:
        hidden = self.dropout(self.dense(pixels), training=training)
        return {"raw": hidden, "probability": keras.ops.softmax(hidden)}


def subclassed() -> Any:
    """A subclassed model that was called once."""
    model = Subclassed()
    model(np.zeros((1, 4), np.float32))
    return model


MODELS: dict[str, Callable[[], Any]] = {
    build.__name__: build
    for build in (
        cnn,
        normalised,
        several_inputs_and_outputs,
        lstm,
        gru,
        transformer,
        subclassed,
    )
}


@pytest.fixture(params=sorted(MODELS))
def any_model(request: pytest.FixtureRequest) -> Any:
    """Each of the models in turn."""
    keras.utils.set_random_seed(0)
    return MODELS[request.param]()


@pytest.fixture
def cnn_file(tmp_path: Path) -> Path:
    """The CNN as a `.keras` file."""
    keras.utils.set_random_seed(0)
    path = tmp_path / "cnn.keras"
    cnn().save(path)
    return path


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Guarded processes cost seconds each: only tests marked `own_process` start any."""
    if request.node.get_closest_marker("own_process") is None:
        monkeypatch.setattr(Guard, "call", _called_here)


def _called_here(guard: Guard, target: str, argument: bytes, *, scratch: Any = None) -> Any:
    module, _, name = target.partition(":")
    voice = Voice(io.StringIO())
    value = getattr(import_module(module), name)(pickle.loads(argument), voice)
    return decode(json.loads(json.dumps(encode(value, Path()))), Path())
