"""Genuine Keras files in both formats, with no more said than a user can know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_keras import traced_from_keras
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.sources.options import SourceOptions

LEGACY = Path(__file__).parents[1] / "fixtures/legacy"
LAMBDAS = {
    "lambda_1": lambda x: x / 127.5 - 1.0,
    "normalise": lambda x: x / 127.5 - 1.0,
    "unit": lambda x: tf.math.l2_normalize(x, axis=-1),
}
ENTRIES = [
    ("k14_keras122_lstm_text", "imdb.h5", None),
    ("k14_keras122_nvidia_lambda", "model.h5", None),
    ("k14_keras122_nvidia_lambda", "model.json", "model_weights.h5"),
    ("k14_keras122_theano_th_cnn", "model.h5", None),
    ("k14_keras209_gru", "gru_model.h5", None),
    ("k14_keras209_unet_custom_loss", "unet.hdf5", None),
    ("k14_keras224_cnn_leaky", "classifier.h5", None),
    ("k14_keras224_json_lambda", "model.json", "model.h5"),
    ("k15_tfkeras23_h5", "model.h5", None),
    ("k18_keras224_multi_io", "multi.h5", None),
]


def options_for(case: Path, weights: str | None) -> SourceOptions:
    known = json.loads((case / "case.json").read_text()).get("hints_a_user_may_give") or {}
    given = {name: LAMBDAS[name] for name in known if name in LAMBDAS}
    return SourceOptions(lambdas=given, weights=case / weights if weights else None)


def values(case: Path, traced: Traced) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stored inputs and outputs; a case with a single one calls it by a name of its own."""
    stored = np.load(case / "expected.npz")
    inputs = {key[4:]: stored[key] for key in stored if key.startswith("in__")}
    outputs = {key[5:]: stored[key] for key in stored if key.startswith("out__")}
    if len(inputs) == 1:
        inputs = {traced.inputs[0].name: next(iter(inputs.values()))}
    if len(outputs) == 1:
        outputs = {traced.outputs[0].name: next(iter(outputs.values()))}
    return inputs, outputs


@pytest.mark.parametrize(("name", "entry", "weights"), ENTRIES)
def test_an_old_keras_file_gives_its_outputs_in_both_formats(
    name: str, entry: str, weights: str | None, tmp_path: Path
) -> None:
    case = LEGACY / name
    traced = traced_from_keras(case / entry, options_for(case, weights), device=Device())
    inputs, expected = values(case, traced)
    saved_model_from_traced(traced, tmp_path / "saved_model")
    onnx_from_traced(traced, tmp_path / "model.onnx", opset=17)
    for path in (tmp_path / "saved_model", tmp_path / "model.onnx"):
        with open_runtime(path) as runtime:
            found = runtime.predict(inputs)
        assert set(found) == set(expected)
        for output, value in expected.items():
            np.testing.assert_allclose(found[output], value, rtol=1e-4, atol=1e-5)


def test_a_given_shape_is_that_of_the_export() -> None:
    path = LEGACY / "k14_keras224_cnn_leaky/classifier.h5"
    options = SourceOptions(shapes={"conv2d_1_input": (2, 20, 20, 3)})
    traced = traced_from_keras(path, options, device=Device())
    assert traced.inputs[0].shape == (2, 20, 20, 3)
    assert traced.outputs[0].shape == (2, 4)
    wrong = SourceOptions(shapes={"image": (2, 20, 20, 3)})
    with pytest.raises(ConfigError, match="no input 'image'"):
        traced_from_keras(path, wrong, device=Device())


def test_a_live_model_is_traced_between_chosen_tensors() -> None:
    image = keras.Input((4, 4, 1), name="image")
    hidden = keras.layers.Conv2D(2, 3, name="hidden")(image)
    model = keras.Model(image, keras.layers.Flatten(name="flat")(hidden))
    options = SourceOptions(inputs={"map": "hidden"}, outputs={"row": "flat"})
    traced = traced_from_keras(Path("live"), options, device=Device(), model=model)
    assert [spec.name for spec in traced.inputs] == ["map"]
    assert traced.inputs[0].shape == (None, 2, 2, 2)
    assert [spec.name for spec in traced.outputs] == ["row"]
