"""What tf_keras, the last Keras 2, saves and predicts, compared with what is read."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras as keras3
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

from mlflow_tfconv.sources.keras.keras_reading import keras_reading

Make = Callable[[], tuple[Any, list[Any]]]


def images(*stack: Any, shape: tuple[int, ...] = (9, 8, 3)) -> tuple[Any, list[Any]]:
    image = layers.Input(shape, name="image")
    result = image
    for layer in stack:
        result = layer(result)
    return tf_keras.Model(image, result), [np.random.default_rng(0).normal(size=(2, *shape))]


def convolutions() -> tuple[Any, list[Any]]:
    return images(
        layers.ZeroPadding2D(((1, 2), (0, 1))),
        layers.Conv2D(4, 3, strides=2, padding="same", activation="hard_sigmoid"),
        layers.BatchNormalization(),
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        layers.SeparableConv2D(4, 2, activation="swish"),
        layers.Conv2DTranspose(3, 3, strides=2, output_padding=1),
        layers.LeakyReLU(0.2),
        layers.PReLU(shared_axes=[1, 2]),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.LocallyConnected2D(2, 3),
        layers.GroupNormalization(2),
        layers.GlobalAveragePooling2D(),
    )


def sequences() -> tuple[Any, list[Any]]:
    words = layers.Input((6,), dtype="int32", name="words")
    embedded = layers.Embedding(9, 4, mask_zero=True)(words)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(embedded)
    gru = layers.GRU(3, reset_after=False, recurrent_activation="hard_sigmoid")(both)
    cells = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], go_backwards=True)(embedded)
    steps = layers.TimeDistributed(layers.Dense(2, activation="tanh"))(both)
    states = layers.LSTM(3, return_state=True)(steps)
    again = layers.SimpleRNN(3)(both, initial_state=[states[1]])
    heads = layers.MultiHeadAttention(2, 3)(embedded, both, use_causal_mask=True)
    attended = layers.Attention()([embedded, heads])
    model = tf_keras.Model(words, [gru, cells, *states, again, heads, attended])
    return model, [np.array([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 0]], np.int32)]


def functions() -> tuple[Any, list[Any]]:
    left, right = layers.Input((6, 4), name="left"), layers.Input((6, 4), name="right")
    x = layers.Dense(4)(left)
    results = [
        1.0 - x * 2.0,
        -x / (tf.abs(right) + 1.0),
        tf.concat([x, right], axis=-1)[:, 1:3],
        x[:, -1, tf.newaxis],
        tf.matmul(x, right, transpose_b=True),
        tf.reshape(x, (tf.shape(x)[0], 2, 12)),
        tf.where(x > 0, x, tf.math.l2_normalize(right, axis=-1)),
        tf.split(x, 2, axis=2)[1],
        tf.cast(tf.argmax(x, -1), tf.float32),
        layers.Dot((2, 2), normalize=True)([x, right]),
        layers.Concatenate(axis=1)([x, right]),
    ]
    model = tf_keras.Model([left, right], results)
    random = np.random.default_rng(0)
    return model, [random.normal(size=(2, 6, 4)), random.normal(size=(2, 6, 4))]


def nested() -> tuple[Any, list[Any]]:
    """Frozen layers in a model that is a layer, used twice: the order of weights is hard."""
    inner = tf_keras.Sequential(
        [
            layers.Conv2D(3, 3, input_shape=(6, 6, 3), name="first"),
            layers.BatchNormalization(),
            layers.Conv2D(3, 3, name="second"),
            layers.BatchNormalization(),
        ]
    )
    inner.layers[0].trainable = False
    inner.layers[1].trainable = False
    one, other = layers.Input((6, 6, 3), name="one"), layers.Input((6, 6, 3), name="other")
    outer = layers.Flatten()(layers.Add()([inner(one), inner(other)]))
    model = tf_keras.Model({"one": one, "other": other}, {"kind": layers.Dense(2)(outer)})
    random = np.random.default_rng(0)
    return model, [random.normal(size=(2, 6, 6, 3)), random.normal(size=(2, 6, 6, 3))]


def preparation() -> tuple[Any, list[Any]]:
    learned = layers.Normalization()
    learned.adapt(np.arange(12.0).reshape(4, 3))
    return images(
        layers.Rescaling(1 / 127.5, -1.0),
        layers.Resizing(6, 6),
        layers.RandomFlip(),
        layers.CenterCrop(4, 4),
        learned,
        layers.LayerNormalization(axis=[1, 2]),
        layers.EinsumDense("abcd,de->abce", output_shape=(None, None, 2), bias_axes="e"),
        layers.Dropout(0.5),
        layers.Softmax(axis=1),
    )


@pytest.mark.parametrize("make", [convolutions, sequences, functions, nested, preparation])
def test_a_model_of_tf_keras_predicts_the_same(make: Make, tmp_path: Path) -> None:
    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(1)
    model, given = make()
    given = [x if x.dtype == np.int32 else x.astype(np.float32) for x in given]
    inputs: Any = given if len(given) > 1 else given[0]
    if isinstance(model.input, dict):
        inputs = dict(zip(model.input, given, strict=True))
    expected = tf.nest.flatten(model(inputs, training=False))
    for name in ("model.h5", "model.keras"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that HDF5 is of old
            model.save(tmp_path / name)
        reading = keras_reading(tmp_path / name)
        assert reading.warnings == ()
        found = keras3.tree.flatten(reading.model(inputs))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(one), other.numpy(), rtol=1e-5, atol=1e-5)
