from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.runtimes.input_range import Feature, InputRange
from mlflow_tfconv.runtimes.random_inputs import random_inputs


def drawn(dtype: str, size: tuple[int | None, ...], **known: Any) -> list[np.ndarray[Any, Any]]:
    spec = TensorSpec(name="x", dtype=dtype, shape=size)
    ranges = {"x": InputRange(**known)}
    return [batch["x"] for batch in random_inputs([spec], ranges=ranges)]


def test_batches_of_one_and_of_several_are_drawn_the_same_every_time() -> None:
    arrays = drawn("float32", (None, 3))
    assert [len(array) for array in arrays] == [4, 1, 4, 4]
    assert all(
        np.array_equal(a, b) for a, b in zip(arrays, drawn("float32", (None, 3)), strict=True)
    )
    assert [len(array) for array in drawn("float32", (2, 3))] == [2] * 4


@pytest.mark.parametrize(
    ("dtype", "shape", "known", "ends"),
    [
        ("float32", (None, 5), {}, (-1, 1)),
        ("float32", (None, 8, 8, 3), {}, (0, 1)),
        ("float32", (None, 5), {"low": 0, "high": 255}, (0, 255)),
        ("int32", (None, 5), {"low": 1, "high": 50}, (1, 50)),
        ("int64", (None, 5), {}, (0, 1)),
        ("uint8", (None, 5), {}, (0, 255)),
        ("float16", (None, 5), {"low": 0.25}, (0.25, 1)),
    ],
)
def test_both_ends_of_the_range_are_there_and_nothing_beyond(
    dtype: str, shape: Any, known: Any, ends: Any
) -> None:
    array = drawn(dtype, shape, **known)[0]
    assert array.dtype == dtype
    assert (array.min(), array.max()) == ends


def test_floats_can_stand_for_whole_numbers() -> None:
    array = drawn("float32", (None, 9), low=0, high=9, whole=True)[0]
    assert np.array_equal(array, array.round())


def test_open_dimensions_get_a_size() -> None:
    assert drawn("float32", (None, None))[0].shape == (4, 8)
    assert drawn("float32", (None, None, None, 3))[0].shape == (4, 32, 32, 3)
    assert drawn("uint8", (None, None, 3), shape=(40, 56, 3))[1].shape == (40, 56, 3)
    assert drawn("float32", ())[0].shape == ()


def test_a_mask_leaves_something_of_every_example() -> None:
    assert drawn("bool", (None, 6))[0].any(axis=1).all()


def test_strings_are_words_numbers_images_or_examples() -> None:
    assert all(isinstance(text, bytes) for text in drawn("string", (None,))[0])
    assert all(text.isdigit() for text in drawn("string", (None,), content="digits")[0])
    assert tf.io.decode_image(drawn("string", (), content="jpeg")[0].item()).shape[-1] == 3
    assert tf.io.decode_png(drawn("string", (None,), content="png")[0][0]).shape[-1] == 3
    assert len(drawn("string", (None,), content="bytes", high=12)[0][0]) == 12
    features = {"a": Feature(dtype="float32", count=2), "b": Feature(dtype="int64", count=1)}
    text = drawn("string", (None,), content="example", features=features)[0][0]
    parsed = tf.train.Example.FromString(text).features.feature
    assert (len(parsed["a"].float_list.value), len(parsed["b"].int64_list.value)) == (2, 1)


def test_the_size_of_the_batch_is_told_to_who_asks() -> None:
    assert [int(array) for array in drawn("int32", (), content="batch_size")] == [4, 1, 4, 4]
