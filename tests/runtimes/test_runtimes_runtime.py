from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.keras_signature import keras_signature
from mlflow_tfconv.runtimes.names import tidy_names
from mlflow_tfconv.runtimes.runtime import open_runtime


def test_a_keras_file_predicts_under_its_own_names(model: Any, keras_file: Path) -> None:
    image = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)
    with open_runtime(keras_file) as runtime:
        assert [(s.name, s.shape) for s in runtime.inputs] == [("image", (None, 4, 4, 1))]
        assert [(s.name, s.shape) for s in runtime.outputs] == [("kind", (None, 3))]
        outputs = runtime.predict({"image": image})
    np.testing.assert_allclose(outputs["kind"], model(image), atol=1e-6)


def test_a_saved_model_predicts_with_its_only_signature(tmp_path: Path) -> None:
    module = tf.Module()
    double = tf.function(lambda x: {"twice": 2 * x}).get_concrete_function(
        tf.TensorSpec((None,), tf.float32, "x")
    )
    tf.saved_model.save(module, str(tmp_path / "sm"), signatures={"double": double})
    with open_runtime(tmp_path / "sm") as runtime:
        assert runtime.inputs[0].name == "x"
        assert runtime.predict({"x": np.float32([1, 2])})["twice"].tolist() == [2, 4]


def test_a_saved_model_that_would_write_a_file_is_not_loaded(
    hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConversionError, match="WriteFile"):
        open_runtime(hostile / "writefile_saved_model")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_model_without_its_variables_is_said_to_be_incomplete(
    model: Any, tmp_path: Path
) -> None:
    model.export(tmp_path / "sm", verbose=False)
    (tmp_path / "sm/variables/variables.data-00000-of-00001").unlink()
    with pytest.raises(ConversionError, match="not complete"):
        open_runtime(tmp_path / "sm")


def test_a_format_that_cannot_run_says_so(model: Any, tmp_path: Path) -> None:
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ConversionError, match="without the architecture"):
        open_runtime(tmp_path / "model.weights.h5")


def test_the_onnx_runtime_needs_neither_tensorflow_nor_onnx() -> None:
    code = (
        "import sys; import mlflow_tfconv.runtimes.onnx_runtime; "
        "print({'tensorflow', 'keras', 'onnx', 'h5py', 'mlflow'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_names_of_inputs_and_outputs_never_collide() -> None:
    assert tidy_names(["a/b:0", "a_b", "a_b", "class"]) == ("a_b", "a_b_1", "a_b_2", "class_")
    x = keras.Input((2,), name="x")
    signature = keras_signature(keras.Model({"x": x}, {"x": keras.layers.Dense(1)(x)}))
    assert (signature.inputs[0].name, signature.outputs[0].name) == ("x", "x_1")


def test_a_model_that_was_never_built_says_what_to_do() -> None:
    class Never(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(ConversionError, match="Call the model once"):
        keras_signature(Never())
