from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError


def infer(*examples: Any, label: tuple[str, ...] = ()) -> SchemaInference:
    inference = SchemaInference(label)
    for number, example in enumerate(examples, start=1):
        inference.check(example, f"Example {number}")
    return inference


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        (3, FeatureSpec("int64")),
        (np.uint8(3), FeatureSpec("int64")),
        (0.5, FeatureSpec("float32")),
        (True, FeatureSpec("bool")),
        ("text", FeatureSpec("string")),
        (b"bytes", FeatureSpec("string")),
        ([1, 2], FeatureSpec("int64", (2,), encoding="raw")),
        ([0.5], FeatureSpec("float32", (1,), encoding="raw")),
        (["a", "b", "c"], FeatureSpec("string", (3,))),
        (np.zeros((2, 3), "uint8"), FeatureSpec("uint8", (2, 3), encoding="raw")),
        (np.zeros((2, 3), ">f8"), FeatureSpec("float64", (2, 3), encoding="raw")),
    ],
)
def test_the_type_of_a_feature_is_inferred(value: Any, spec: FeatureSpec) -> None:
    assert infer({"x": value}).features["x"] == spec


def test_a_dimension_that_differs_becomes_none() -> None:
    inference = infer({"x": np.zeros((4, 5, 1))}, {"x": np.zeros((4, 6, 1))})
    assert inference.features["x"].shape == (4, None, 1)


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"x": 1.5, "y": 1}, "Example 2: the feature 'x' differs"),
        ({"x": [1], "y": 1}, "Example 2: the feature 'x' differs"),
        ({"x": 1}, "Example 2 lacks 'y'"),
        ({"x": 1, "y": 1, "z": 1}, "Example 2 has the new feature 'z'"),
        ([1, 2], "Example 2 is no dict"),
        ({"x": None, "y": 1}, "Example 2: the feature 'x' has an unfit value"),
        ({"x": object(), "y": 1}, "Example 2: the feature 'x' has an unfit value"),
        ({"x": [[1], [1, 2]], "y": 1}, "Example 2: the feature 'x' has an unfit value"),
        ({"x": np.zeros(2, "uint32"), "y": 1}, "Example 2: the feature 'x' has an unfit value"),
    ],
)
def test_an_example_unlike_the_first_is_named_with_its_feature(second: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        infer({"x": 1, "y": 2}, second)


def test_a_label_that_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="Example 2: the label 'y' is not finite"):
        infer({"y": 0.5}, {"y": math.nan}, label=("y",))


def test_a_label_that_the_examples_lack_is_refused_with_the_features_they_have() -> None:
    with pytest.raises(DataError, match="lacks the label 'y'") as caught:
        infer({"x": 1}, label=("y",))
    assert "features: x" in str(caught.value)


def test_a_name_that_is_needed_for_a_shape_is_refused() -> None:
    with pytest.raises(DataError, match="is taken by the shape"):
        infer({"x": np.zeros((2, 2)), "x/shape": [2, 2]})


def given(value: Any, spec: FeatureSpec) -> np.ndarray[Any, Any]:
    return SchemaInference(given={"x": spec}).check({"x": value}, "a.csv, row 2")["x"]


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        (3, FeatureSpec("int32"), np.array(3, "int32")),
        (3, FeatureSpec("float32"), np.array(3, "float32")),
        ([1, 0], FeatureSpec("float64", (None,)), np.array([1, 0], "float64")),
        (0.5, FeatureSpec("float16"), np.array(0.5, "float16")),
        (True, FeatureSpec("int64"), np.array(1)),
        (b"\xff\xd8", FeatureSpec("uint8", (None, None, 3), None, "image"), b"\xff\xd8"),
    ],
)
def test_values_get_the_type_that_was_given(value: Any, spec: FeatureSpec, expected: Any) -> None:
    found = given(value, spec)
    assert found.tolist() == getattr(expected, "tolist", lambda: expected)()
    assert isinstance(expected, bytes) or found.dtype == expected.dtype


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        (300, FeatureSpec("uint8")),
        (0.5, FeatureSpec("int64")),
        (2, FeatureSpec("bool")),
        ("3", FeatureSpec("int64")),
        (3, FeatureSpec("string")),
        (1e30, FeatureSpec("float16")),
        ([1, 2], FeatureSpec("int64", (3,))),
        ([1, 2], FeatureSpec("int64", (None, 2))),
        ([1, 2], FeatureSpec("uint8", (4, 4, 3), None, "image")),
    ],
)
def test_values_that_do_not_fit_what_was_given_are_refused(value: Any, spec: FeatureSpec) -> None:
    with pytest.raises(DataError, match=r"a\.csv, row 2: the feature 'x' is not what it was given"):
        given(value, spec)


def test_a_given_feature_is_in_every_example_and_keeps_its_shape() -> None:
    inference = SchemaInference(given={"x": FeatureSpec("int64", (None,))})
    inference.check({"x": [1, 2], "y": 1}, "Example 1")
    assert inference.features["x"].shape == (None,)
    with pytest.raises(DataError, match="Example 1 lacks 'x'"):
        SchemaInference(given={"x": FeatureSpec("int64")}).check({"y": 1}, "Example 1")


def test_examples_are_held_to_what_an_earlier_one_showed() -> None:
    first = infer({"x": [1.5, 2]}).features
    later = SchemaInference(like=first)
    later.check({"x": [1.5]}, "Example 9")
    assert later.features["x"].shape == (None,)
    with pytest.raises(DataError, match="Example 10: the feature 'x' differs"):
        later.check({"x": [1]}, "Example 10")
