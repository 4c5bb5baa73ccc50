"""The genuine old files, in both formats, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.sources.keras.keras_reading import keras_reading
from mlflow_tfconv.sources.options import SourceOptions

FIXTURES = Path(__file__).parents[2] / "fixtures"
HOSTILE = FIXTURES / "hostile"


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ConversionError) as caught:
        keras_reading(path, SourceOptions(**options))
    return str(caught.value)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("c04_h5_bad_config", "model_config is not JSON"),
        ("c04_h5_missing_layer", "weights of layer 'dense_1' are missing"),
        ("c04_h5_truncated", "truncated file"),
        ("c04_h5_weights_only", "weights only: the architecture (JSON) is needed"),
        ("c05_h5_lambda_py311", "'evil' is a Lambda"),
        ("c05_h5_lambda_py312", "'evil' is a Lambda"),
        ("c14_h5_bomb", "shape (1048576, 262144) in the file, and the layer wants (4, 5)"),
    ],
)
def test_a_damaged_or_hostile_file_is_told(
    case: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = HOSTILE / case / json.loads((HOSTILE / case / "case.json").read_text())["entry"]
    message = refusal(path)
    assert says in message
    assert path.name in message
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_model_are_told_by_their_shapes() -> None:
    case = HOSTILE / "c13_json_other_weights"
    message = refusal(case / "model.json", weights=case / "model.h5")
    assert "(7, 5) in the file, and the layer wants (4, 5)" in message


def test_yaml_that_makes_objects_is_refused() -> None:
    assert "tags that make Python objects" in refusal(HOSTILE / "c05_yaml_object/model.yaml")


def test_a_lambda_in_json_is_not_executed() -> None:
    case = HOSTILE / "c05_json_lambda"
    assert "'evil' is a Lambda" in refusal(case / "model.json", weights=case / "model.h5")


@pytest.mark.parametrize("case", ["c05_h5_lambda_py312/m.h5", "c05_keras3_lambda/m.keras"])
def test_a_function_in_place_of_a_lambda_is_called(case: str) -> None:
    given = SourceOptions(lambdas={"evil": lambda x: x * 0.0})
    model = keras_reading(HOSTILE / case, given).model
    batch = np.ones((1, *model.inputs[0].shape[1:]), np.float32)
    other = keras_reading(HOSTILE / case, SourceOptions(lambdas={"evil": lambda x: x})).model
    assert not np.allclose(model(batch), other(batch))


@pytest.mark.parametrize("case", ["c05_h5_lambda_py312/m.h5", "c05_keras3_lambda/m.keras"])
def test_a_replacement_without_a_lambda_is_a_mistake(case: str) -> None:
    given = SourceOptions(lambdas={"evil": lambda x: x, "live": lambda x: x})
    with pytest.raises(ConfigError, match=r"(?s)'live' to replace.*evil"):
        keras_reading(HOSTILE / case, given)


@pytest.mark.parametrize("python", ["36", "39", "312"])
def test_trusted_code_of_another_python_is_not_run(python: str) -> None:
    message = refusal(HOSTILE / f"c05_h5_lambda_py{python}/m.h5", trust=True)
    assert "of another Python" in message


def test_weights_that_are_no_numbers_are_warned_of() -> None:
    (warning,) = keras_reading(HOSTILE / "c08_nan_weights_keras/nan.h5").warnings
    assert "'dense_1/kernel:0'" in warning
    assert "holds NaN: 1 of 20" in warning


def test_a_file_of_theano_is_told_by_the_names_of_its_weights() -> None:
    path = FIXTURES / "legacy/k14_keras122_theano_th_cnn/model.h5"
    (choice,) = keras_reading(path).choices
    assert (choice.chosen, choice.alternatives) == ("theano", ("tensorflow",))


def test_an_input_of_an_embedding_takes_whole_numbers() -> None:
    reading = keras_reading(FIXTURES / "legacy/k14_keras209_gru/gru_model.h5")
    assert keras.backend.standardize_dtype(reading.model.inputs[0].dtype) == "int32"
    assert "declares float32" in reading.choices[0].reason


def test_inner_layers_are_outputs_under_new_names() -> None:
    path = FIXTURES / "legacy/k14_keras224_cnn_leaky/classifier.h5"
    whole = keras_reading(path).model
    inner = whole.layers[-2].name
    options = SourceOptions(outputs={"features": f"{inner}/Relu:0", "classes": "dense_2"})
    model = keras_reading(path, options).model
    assert sorted(model.output) == ["classes", "features"]
    assert model.output["features"].shape == whole.get_layer(inner).output.shape
    with pytest.raises(ConfigError, match="no tensor 'nowhere'"):
        keras_reading(path, SourceOptions(outputs={"x": "nowhere"}))
