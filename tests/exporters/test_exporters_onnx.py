from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from keras import layers

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.runtimes.runtime import open_runtime


def attention() -> Any:
    """Einsums, whose names tf2onnx takes from memory addresses; constants it merges."""
    words = keras.Input((3, 4), name="words")
    return keras.Model(words, layers.MultiHeadAttention(2, 2, name="out")(words, words))


def test_names_do_not_depend_on_what_was_converted_before(tmp_path: Path) -> None:
    model = attention()
    for name in ("one.onnx", "two.onnx"):
        traced = traced_from_source(tmp_path / "model", device=Device(), model=model)
        onnx_from_traced(traced, tmp_path / name, opset=17)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_names_of_the_source_stay_in_the_onnx_file(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(2, name="last")(layers.Dense(3, name="first")(x)))
    traced = traced_from_source(tmp_path / "model", device=Device(), model=model)
    onnx_from_traced(traced, tmp_path / "model.onnx", opset=17)
    graph = onnx.load(tmp_path / "model.onnx").graph
    weights = [tensor.name for tensor in graph.initializer]
    assert any("first" in name for name in weights)
    assert any("last" in name for name in weights)
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "x_0"


def test_the_exact_gelu_is_exported(tmp_path: Path) -> None:
    x = keras.Input((5,), name="x")
    model = keras.Model(x, keras.activations.gelu(x, approximate=False))
    traced = traced_from_source(tmp_path / "model", device=Device(), model=model)
    onnx_from_traced(traced, tmp_path / "model.onnx", opset=17)
    value = np.linspace(-3, 3, 10, dtype=np.float32).reshape(2, 5)
    with open_runtime(tmp_path / "model.onnx") as runtime:
        (output,) = runtime.predict({"x": value}).values()
    np.testing.assert_allclose(output, model(value), atol=1e-6)


def test_the_file_saved_model_pb_names_its_folder(tmp_path: Path) -> None:
    traced = traced_from_source(tmp_path / "model", device=Device(), model=attention())
    saved_model_from_traced(traced, tmp_path / "sm")
    again = traced_from_source(tmp_path / "sm" / "saved_model.pb", device=Device())
    assert (again.inputs, again.parameters) == (traced.inputs, traced.parameters)
