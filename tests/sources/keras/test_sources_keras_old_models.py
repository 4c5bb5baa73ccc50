"""Models that Keras 1.2.2, 2.0.9 and 2.2.4 wrote, with what these predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.load_keras import load_keras
from mlflow_tfconv.sources.keras.keras_reading import keras_reading
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions

FOLDER = Path(__file__).parents[2] / "fixtures/keras_old"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))
OPTIONS = {
    "keras122_siam_lambda": SourceOptions(lambdas={"diff": lambda pair: pair[0] - pair[1]}),
    "keras122_conv1_theano": SourceOptions(original_backend="theano"),
}
#: How many warnings a model is read with.
WARNED = {"keras209_silent_cells": 2}


def require_same(model: Any, name: str) -> None:
    stored = np.load(FOLDER / f"{name}.npz")
    given = [stored[f"x{n}"] for n in range(len(model.inputs))]
    result = keras.tree.flatten(model(given if len(given) > 1 else given[0]))
    assert len(result) == sum(key.startswith("y") for key in stored)
    for n, tensor in enumerate(result):
        np.testing.assert_allclose(np.asarray(tensor), stored[f"y{n}"], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_an_old_keras_predicts_what_it_predicted_then(name: str) -> None:
    reading = keras_reading(FOLDER / f"{name}.h5", OPTIONS.get(name, SourceOptions()))
    assert len(reading.warnings) == WARNED.get(name, 0)
    require_same(reading.model, name)


@pytest.mark.parametrize("name", ["keras122_nested2", "keras224_frozen2"])
def test_architecture_and_weights_apart_give_the_same(name: str) -> None:
    options = SourceOptions(weights=FOLDER / f"{name}_w.h5")
    require_same(keras_reading(FOLDER / f"{name}.json", options).model, name)


@pytest.mark.parametrize("name", ["keras122_nestedseq", "keras122_bn_th"])
def test_yaml_with_tuples_is_read(name: str) -> None:
    options = SourceOptions(weights=FOLDER / f"{name}.h5")
    require_same(keras_reading(FOLDER / f"{name}.yaml", options).model, name)


@pytest.mark.parametrize(
    "name", ["keras122_td_th", "keras122_adv", "keras122_maskmerge", "keras224_local2cf"]
)
def test_a_translated_model_is_saved_for_todays_keras(name: str, tmp_path: Path) -> None:
    keras_reading(FOLDER / f"{name}.h5").model.save(tmp_path / "model.keras")
    require_same(load_keras(tmp_path / "model.keras"), name)


def test_a_model_with_a_given_function_is_not_saved(tmp_path: Path) -> None:
    name = "keras122_siam_lambda"
    model = keras_reading(FOLDER / f"{name}.h5", OPTIONS[name]).model
    with pytest.raises(NotImplementedError, match="'diff' is a function that was given"):
        model.save(tmp_path / "model.keras")


def backend_of(reading: KerasReading) -> tuple[str, bool]:
    choice = next(one for one in reading.choices if one.what == "original_backend")
    return choice.chosen, "end in ':0'" in choice.reason


def test_tensorflow_is_told_by_the_names_of_weights() -> None:
    assert backend_of(keras_reading(FOLDER / "keras122_conv_th.h5")) == ("tensorflow", True)


def test_kernels_are_turned_around_when_the_user_says_theano() -> None:
    options = SourceOptions(original_backend="theano")
    reading = keras_reading(FOLDER / "keras122_atrous_th.h5", options)
    plain = keras_reading(FOLDER / "keras122_atrous_th.h5").model.weights[0]
    np.testing.assert_array_equal(reading.model.weights[0], np.asarray(plain)[::-1, ::-1])
    assert reading.choices == ()


def test_a_layer_without_code_is_asked_for_by_name() -> None:
    with pytest.raises(ConversionError, match=r'(?s)\'diff\' is a Lambda.*lambdas=\{"diff"'):
        keras_reading(FOLDER / "keras122_siam_lambda.h5")
