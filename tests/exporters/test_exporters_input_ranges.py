from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from traced_formula import Shape, traced_formula

from mlflow_tfconv.exporters.input_ranges import input_ranges
from mlflow_tfconv.runtimes.input_range import Feature, InputRange
from mlflow_tfconv.runtimes.keras_signature import keras_signature
from mlflow_tfconv.runtimes.random_inputs import random_inputs


@pytest.fixture(scope="module")
def table() -> Any:
    """An embedding of 50 rows."""
    return tf.Variable(np.ones((50, 4), np.float32))


def ranges_of(call: Callable[[Any], Any], **inputs: tuple[str, Shape]) -> dict[str, InputRange]:
    """The ranges of a formula, which takes what is made up within them."""
    traced = traced_formula(lambda t: {"y": call(t)}, inputs)
    ranges = input_ranges(traced)
    with traced.open_reference() as runtime:
        for batch in random_inputs(traced.inputs, ranges=ranges, batches=2):
            runtime.predict(batch)
    return ranges


@pytest.mark.parametrize(
    ("index", "dtype", "low", "high"),
    [
        (lambda x: x, "int32", 0, 49),
        (lambda x: x - 1, "int64", 1, 50),
        (lambda x: tf.cast(tf.reshape(x, [-1]), tf.int32), "float32", 0, 49),
        (lambda x: tf.where(x < 0, x + 50, x), "int32", 0, 49),
    ],
)
def test_indices_are_within_the_embedding(
    table: Any, index: Any, dtype: str, low: int, high: int
) -> None:
    found = ranges_of(lambda t: tf.gather(table, index(t["x"])), x=(dtype, (None, 3)))
    assert (found["x"].low, found["x"].high) == (low, high)


def test_the_smallest_of_several_tables_counts(table: Any) -> None:
    found = ranges_of(
        lambda t: tf.gather(table, t["x"])[:, :3] + tf.one_hot(t["x"], 3), x=("int32", (None,))
    )
    assert (found["x"].low, found["x"].high) == (0, 2)


def test_lengths_are_within_the_sequence(table: Any) -> None:
    def call(t: Any) -> Any:
        mask = tf.sequence_mask(t["n"], tf.shape(t["x"])[1], tf.float32)
        return tf.reduce_sum(tf.gather(table, t["x"]) * mask[..., None], 1)

    found = ranges_of(call, x=("int32", (None, 20)), n=("int32", (None,)))
    assert (found["n"].low, found["n"].high) == (1, 20)


@pytest.mark.parametrize(
    ("scaled", "low", "high"),
    [
        (lambda x: x / 255.0, 0, 255),
        (lambda x: x * (1 / 127.5) - 1.0, 0, 255),
        (lambda x: x - tf.constant([103.9, 116.8, 123.7]), 0, 255),
        (lambda x: x / 16.0, 0, 16),
        (lambda x: (x - 10.0) / 0.5 + 0.0, 9, 11),
        (tf.math.log, 0.05, 1),
        (lambda x: x @ tf.ones((3, 2)), None, None),
    ],
)
def test_numbers_are_in_the_range_that_is_scaled_at_once(
    scaled: Any, low: float, high: float
) -> None:
    found = ranges_of(lambda t: scaled(t["x"]), x=("float32", (None, 4, 4, 3)))["x"]
    assert (found.low, found.high) == (
        (None, None) if low is None else (pytest.approx(low), pytest.approx(high))
    )


def test_strings_are_what_the_graph_decodes() -> None:
    def call(t: Any) -> Any:
        image = tf.io.decode_png(t["png"], channels=3)
        features: Any = {
            "a": tf.io.FixedLenFeature([4], tf.float32),
            "b": tf.io.VarLenFeature(tf.string),
        }
        parsed = tf.io.parse_example(t["example"], features)
        raw = tf.reshape(tf.io.decode_raw(t["raw"], tf.uint8), [-1, 7, 7])
        number = tf.strings.to_number(t["number"])
        parts = (tf.cast(image, tf.float32), parsed["a"], tf.cast(raw, tf.float32), number)
        return tf.add_n([tf.reduce_sum(part) for part in parts])

    found = ranges_of(
        call,
        png=("string", ()),
        example=("string", (None,)),
        raw=("string", (None,)),
        number=("string", (None,)),
    )
    assert {name: one.content for name, one in found.items()} == {
        "png": "png",
        "example": "example",
        "raw": "bytes",
        "number": "digits",
    }
    assert found["raw"].high == 49
    assert found["example"].features == {
        "a": Feature(dtype="float32", count=4),
        "b": Feature(dtype="string", count=3),
    }


def test_what_a_loop_decodes_is_found_too() -> None:
    def one(image: Any) -> Any:
        return tf.cast(tf.io.decode_jpeg(image, channels=1), tf.float32)[:2, :2]

    found = ranges_of(
        lambda t: tf.map_fn(one, t["image"], fn_output_signature=tf.float32),
        image=("string", (None,)),
    )
    assert found["image"].content == "jpeg"


def test_a_number_that_is_a_size_is_that_of_the_batch() -> None:
    found = ranges_of(
        lambda t: tf.zeros([t["n"], 3]) + t["x"], x=("float32", (None, 3)), n=("int32", ())
    )
    assert found["n"].content == "batch_size"


def test_images_are_as_large_as_the_network_needs() -> None:
    image = keras.Input((None, None, 3), name="image")
    x = image
    for _ in range(5):
        x = keras.layers.Conv2D(2, 5, strides=2)(x)
    model = keras.Model(image, keras.layers.GlobalMaxPooling2D()(x))
    signature = keras_signature(model)
    inputs: Any = {spec.name: (spec.dtype, spec.shape) for spec in signature.inputs}
    traced = traced_formula(signature.call, inputs)
    assert input_ranges(traced)["image"].shape == (None, 128, 128, 3)


def test_a_sequence_is_as_long_as_a_dense_layer_wants() -> None:
    found = ranges_of(
        lambda t: tf.reshape(t["x"], [-1, 64]) @ tf.ones((64, 2)), x=("float32", (1, None, 2))
    )
    assert found["x"].shape == (1, 32, 2)


def test_an_image_without_a_batch_has_a_height_and_a_width() -> None:
    def call(t: Any) -> Any:
        return tf.image.resize(tf.expand_dims(tf.cast(t["x"], tf.float32), 0), [2, 2])

    shape = ranges_of(call, x=("uint8", (None, None, 3)))["x"].shape
    assert shape == (40, 56, 3)
