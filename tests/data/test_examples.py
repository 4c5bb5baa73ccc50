"""Examples that are encoded without TensorFlow are TensorFlow's own, to the byte."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.data.example_messages import Example, SequenceExample
from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.schema import FeatureSpec


def theirs(**features: Any) -> bytes:
    made = {name: tf.train.Feature(**{kind: value}) for name, (kind, value) in features.items()}
    example = tf.train.Example(features=tf.train.Features(feature=made))
    return bytes(example.SerializeToString(deterministic=True))


def ints(*values: int) -> Any:
    return "int64_list", tf.train.Int64List(value=values)


def floats(*values: float) -> Any:
    return "float_list", tf.train.FloatList(value=values)


def texts(*values: bytes) -> Any:
    return "bytes_list", tf.train.BytesList(value=values)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-3, {"x": ints(-3)}),
        (True, {"x": ints(1)}),
        (0.1, {"x": floats(0.1)}),
        ("é", {"x": texts("é".encode())}),
        (["a", "b"], {"x": texts(b"a", b"b")}),
        (np.array([1, 2], "int16"), {"x": texts(b"\x01\x00\x02\x00")}),
        (np.zeros((1, 2), "uint8"), {"x": texts(b"\x00\x00"), "x/shape": ints(1, 2)}),
        (np.array([], dtype=str), {"x": texts()}),
    ],
)
def test_the_bytes_are_those_of_tensorflow(value: Any, expected: dict[str, Any]) -> None:
    arrays = SchemaInference().check({"x": value}, "Example 1")
    assert serialized_example(arrays) == theirs(**expected)


def test_arrays_of_a_list_feature_are_lists() -> None:
    specs = {name: FeatureSpec("float32", (2,), encoding="list") for name in ("a", "b")}
    arrays = {"b": np.array([0.5, 1], "float32"), "a": np.array([3, 4], "float32")}
    assert serialized_example(arrays, specs) == theirs(a=floats(3, 4), b=floats(0.5, 1))


def test_messages_of_tensorflow_are_read() -> None:
    found = Example.FromString(theirs(a=ints(1, -2), b=floats(0.5), c=texts(b"x")))
    assert list(found.features.feature["a"].int64_list.value) == [1, -2]
    assert found.features.feature["b"].WhichOneof("kind") == "float_list"
    steps = tf.train.FeatureList(feature=[tf.train.Feature(**dict([ints(n)])) for n in range(3)])
    lists = tf.train.FeatureLists(feature_list={"steps": steps})
    sequence = tf.train.SequenceExample(feature_lists=lists).SerializeToString()
    read = SequenceExample.FromString(sequence).feature_lists.feature_list["steps"].feature
    assert [step.int64_list.value[0] for step in read] == [0, 1, 2]


def test_none_of_it_needs_tensorflow() -> None:
    code = (
        "import sys, mlflow_tfconv.steps.ingest.tasks, mlflow_tfconv.steps.ingest.writer_process;"
        "assert not {'tensorflow', 'keras', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
