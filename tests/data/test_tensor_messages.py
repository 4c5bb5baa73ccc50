from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.data.schema import ARRAY_DTYPES, FeatureSpec
from mlflow_tfconv.data.tensor_messages import (
    READ_AS,
    serialized_head,
    tensor_found,
    values_of,
)

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (3,), (2, 3), (0,), (2, 0))


def array(dtype: str, shape: tuple[int, ...]) -> Any:
    return (np.random.default_rng(0).random(shape) * 100).astype(dtype)


@pytest.mark.parametrize("dtype", ARRAY_DTYPES)
def test_what_tensorflow_serializes_is_read(dtype: str) -> None:
    for shape in SHAPES:
        expected = array(dtype, shape)
        data = tf.io.serialize_tensor(expected).numpy()
        found = tensor_found(data)
        assert found is not None
        assert (found.dtype, found.shape) == (dtype, shape)
        np.testing.assert_array_equal(values_of(found), expected)
        head = serialized_head(FeatureSpec(dtype, shape))
        assert data == head + expected.tobytes()


@pytest.mark.parametrize("dtype", ARRAY_DTYPES)
def test_tensors_of_single_values_are_read(dtype: str) -> None:
    for expected in (np.array(array(dtype, ())), np.ones((2, 2), dtype)):
        found = tensor_found(tf.make_tensor_proto(expected).SerializeToString())
        assert found is not None
        np.testing.assert_array_equal(values_of(found), expected)


def test_tensors_of_strings_are_read() -> None:
    found = tensor_found(tf.io.serialize_tensor([[b"a", b"bb"]]).numpy())
    assert found is not None
    assert (found.dtype, found.shape) == ("string", (1, 2))
    assert values_of(found).tolist() == [[b"a", b"bb"]]


def test_types_that_a_pipeline_does_not_take_are_read_as_wider_ones() -> None:
    values = {tf.bfloat16: [-1.5, 3e38], tf.uint32: [1, 2**32 - 1], tf.uint64: [1, 2**63 - 1]}
    for dtype, written in values.items():
        stored = tf.constant(written, dtype)
        for one in (stored, stored[1], tf.fill([2, 2], stored[0]), stored[:0]):
            found = tensor_found(tf.io.serialize_tensor(one).numpy())
            assert found is not None
            assert found.dtype == dtype.name
            assert values_of(found).dtype == READ_AS[dtype.name]
            np.testing.assert_array_equal(values_of(found), one.numpy().astype(READ_AS[dtype.name]))


def test_a_number_that_no_other_type_holds_is_told() -> None:
    found = tensor_found(tf.io.serialize_tensor(tf.constant(2**63, tf.uint64)).numpy())
    assert found is not None
    with pytest.raises(ValueError, match="9223372036854775808"):
        values_of(found)


def test_other_bytes_are_not_mistaken_for_a_tensor() -> None:
    example = tf.train.Example(
        features=tf.train.Features(
            feature={"a": tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))}
        )
    )
    jpeg = tf.io.encode_jpeg(np.zeros((4, 4, 3), np.uint8)).numpy()
    for data in (b"", b"text", b"\x08", b"\x08\x01", example.SerializeToString(), jpeg):
        assert tensor_found(data) is None
    assert not any(tensor_found(b"\x08" + os.urandom(27)) for _ in range(1000))
