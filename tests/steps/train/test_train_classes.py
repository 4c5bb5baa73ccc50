"""Which outputs are too few for which labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.train.classes import check_classes

NUMBER = {"kind": FeatureSpec("int64")}
SPARSE = "sparse_categorical_crossentropy"


def checked(units: int, loss: Any, label: Any, specs: Any = NUMBER) -> None:
    model = keras.Sequential([keras.Input((2,)), layers.Dense(units)])
    model.compile("sgd", loss)
    check_classes(model, model(np.zeros((len(label), 2))), np.array(label), specs)


def test_one_output_is_too_few_even_when_the_examples_are_of_one_class() -> None:
    with pytest.raises(DataError, match=r"1 output,(.|\n)*binary_crossentropy will do"):
        checked(1, SPARSE, [0, 0])


def test_the_highest_label_that_was_seen_decides_without_names() -> None:
    checked(3, SPARSE, [0, 2])
    with pytest.raises(DataError, match="at least 4"):
        checked(3, keras.losses.SparseCategoricalCrossentropy(from_logits=True), [0, 3])


def test_declared_names_decide_before_any_example() -> None:
    named = {"kind": FeatureSpec("int64", (), ("ant", "bee", "cat"))}
    with pytest.raises(DataError, match=r"one for each class \(ant, bee, cat\)"):
        checked(2, SPARSE, [0, 1], named)


def test_a_class_that_the_loss_ignores_needs_no_output() -> None:
    checked(2, keras.losses.SparseCategoricalCrossentropy(ignore_class=255), [0, 1, 255])


def test_other_losses_are_left_alone() -> None:
    checked(1, "binary_crossentropy", [0, 1])
    checked(1, "mse", [0, 7])


def test_of_several_outputs_each_is_compared_with_its_own_label() -> None:
    inputs = keras.Input((2,))
    heads = {"kind": layers.Dense(3)(inputs), "size": layers.Dense(1)(inputs)}
    model = keras.Model(inputs, heads)
    model.compile("sgd", {"kind": SPARSE, "size": "mse"})
    label = {"kind": np.array([0, 3]), "size": np.array([9, 9])}
    with pytest.raises(DataError, match="'kind'"):
        check_classes(
            model, model(np.zeros((2, 2))), label, {**NUMBER, "size": FeatureSpec("int64")}
        )
