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
