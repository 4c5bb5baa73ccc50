"""Checkpoints that Keras 2 writes today, and a genuine one of TensorFlow 2.3."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.object_checkpoint_model import object_checkpoint_model
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions

K15 = Path(__file__).parents[2] / "fixtures" / "legacy" / "k15_tfkeras23_tfckpt_json"
LAYERS = tf_keras.layers


def filled(model: Any) -> Any:
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.2, 0.8, w.shape) for w in model.get_weights()])
    return model


def read(folder: Path, model: Any, prefix: Path | None = None) -> KerasReading:
    """The model again, from its JSON and a checkpoint of it."""
    if prefix is None:
        prefix = folder / "weights"
        model.save_weights(str(prefix), save_format="tf")
    (folder / "model.json").write_text(model.to_json())
    return object_checkpoint_model(folder / "model.json", prefix, SourceOptions())


def in_a_row(*layers: Any, shape: tuple[int, ...] = (6, 3)) -> Any:
    tensor = given = tf_keras.Input(shape)
    for layer in layers:
        tensor = layer(tensor)
    return filled(tf_keras.Model(given, tensor))


def nested() -> Any:
    inner = tf_keras.Sequential([LAYERS.Dense(3, input_shape=(6, 3)), LAYERS.BatchNormalization()])
    shared, given = LAYERS.Dense(3), tf_keras.Input((6, 3))
    return filled(tf_keras.Model(given, LAYERS.Flatten()(shared(inner(shared(given))))))


def attention() -> Any:
    given = tf_keras.Input((6, 3))
    return filled(tf_keras.Model(given, LAYERS.MultiHeadAttention(2, 4)(given, given)))


MODELS: dict[str, Callable[[], Any]] = {
    "both directions": lambda: in_a_row(LAYERS.Bidirectional(LAYERS.LSTM(4))),
    "gru of the first kind": lambda: in_a_row(LAYERS.GRU(4, reset_after=False)),
    "cells": lambda: in_a_row(LAYERS.RNN([LAYERS.LSTMCell(3), LAYERS.GRUCell(2)])),
    "attention": attention,
    "nested and shared": nested,
    "convolutions": lambda: in_a_row(
        LAYERS.DepthwiseConv2D(2, depth_multiplier=2),
        LAYERS.SeparableConv2D(3, 2),
        LAYERS.BatchNormalization(scale=False),
        shape=(5, 5, 2),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_weights_find_their_layers(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    reading = read(tmp_path, model)
    x = np.random.default_rng(1).uniform(0, 1, (2, *model.input_shape[1:])).astype(np.float32)
    assert np.allclose(reading.model(x), model(x), atol=1e-6)
    assert reading.warnings == ()


def test_a_genuine_checkpoint_of_tensorflow_2_3_gives_its_outputs() -> None:
    expected = np.load(K15 / "expected.npz")
    reading = object_checkpoint_model(K15 / "model.json", K15 / "weights.ckpt", SourceOptions())
    assert np.allclose(reading.model(expected["in__img"]), expected["out__y"], atol=1e-5)


def test_a_model_inside_a_checkpoint_is_found_and_its_optimizer_not_missed(tmp_path: Path) -> None:
    model = in_a_row(LAYERS.Dense(2))
    optimizer = tf_keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    saved = tf.train.Checkpoint(net=model, optimizer=optimizer, step=tf.Variable(3))
    reading = read(tmp_path, model, Path(saved.save(str(tmp_path / "weights"))))
    x = np.ones((1, 6, 3), np.float32)
    assert np.allclose(reading.model(x), model(x), atol=1e-6)
    assert reading.warnings == ()


def test_weights_that_nothing_takes_are_warned_of(tmp_path: Path) -> None:
    model = in_a_row(LAYERS.Dense(2))
    saved = tf.train.Checkpoint(model=model, teacher=tf.Variable([1.0, 2.0]))
    reading = read(tmp_path, model, Path(saved.save(str(tmp_path / "weights"))))
    assert "holds weights that nothing took: teacher" in reading.warnings[0]


def test_a_shape_that_differs_is_told_with_both(tmp_path: Path) -> None:
    in_a_row(LAYERS.Dense(2)).save_weights(str(tmp_path / "weights"), save_format="tf")
    with pytest.raises(ConversionError, match=r"Dense\) wants kernel \(3, 5\)") as error:
        read(tmp_path, in_a_row(LAYERS.Dense(5)), tmp_path / "weights")
    assert "kernel (3, 2)" in str(error.value)


def test_a_layer_that_is_missing_is_named(tmp_path: Path) -> None:
    in_a_row(LAYERS.Dense(3)).save_weights(str(tmp_path / "weights"), save_format="tf")
    other = in_a_row(LAYERS.Dense(3), LAYERS.Dense(3, name="second"))
    with pytest.raises(ConversionError, match=r"'second' .* is not in the checkpoint"):
        read(tmp_path, other, tmp_path / "weights")


def test_a_layer_too_many_is_named(tmp_path: Path) -> None:
    model = in_a_row(LAYERS.Dense(3), LAYERS.Dense(3))
    model.save_weights(str(tmp_path / "weights"), save_format="tf")
    with pytest.raises(ConversionError, match="layer_with_weights-1 of the checkpoint"):
        read(tmp_path, in_a_row(LAYERS.Dense(3)), tmp_path / "weights")


def test_a_checkpoint_without_objects_is_told(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("w", (3,))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "weights"))
    with pytest.raises(ConversionError, match="holds no objects: its weights go by name"):
        read(tmp_path, in_a_row(LAYERS.Dense(3)), tmp_path / "weights")
