from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers
from onnx import numpy_helper
from traced_formula import traced_formula

from mlflow_tfconv.exporters.diverging_layer import diverging_layer
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.keras_runtime import KerasRuntime
from mlflow_tfconv.runtimes.parity import check_parity
from mlflow_tfconv.runtimes.tolerance import Tolerance

IMAGES = {"image": np.random.default_rng(0).random((3, 8, 8, 2), np.float32)}


def network() -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 2), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="early")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(4, 3, activation="relu", name="middle")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(3, name="late")(x))


def traced_network(model: Any) -> Traced:
    runtime = KerasRuntime(Path("m"), model=model)
    inputs = {spec.name: (spec.dtype, spec.shape) for spec in runtime.inputs}
    return traced_formula(runtime.call, inputs, model=model)


def broken_onnx(path: Path, kernel: int) -> Path:
    """The file with one of its kernels changed."""
    model = onnx.load(path)
    kernels = [node.input[1] for node in model.graph.node if node.op_type in ("Conv", "MatMul")]
    weight = next(w for w in model.graph.initializer if w.name == kernels[kernel])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + 1, weight.name))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("kernel", "layer"), [(0, "early"), (1, "middle"), (2, "late")])
def test_the_layer_of_a_changed_weight_in_the_onnx_is_named(
    kernel: int, layer: str, tmp_path: Path
) -> None:
    traced = traced_network(network())
    onnx_from_traced(traced, tmp_path / "m.onnx", opset=17)
    assert diverging_layer(traced, tmp_path / "m.onnx", IMAGES, tolerance=Tolerance()) is None
    broken_onnx(tmp_path / "m.onnx", kernel)
    found = diverging_layer(traced, tmp_path / "m.onnx", IMAGES, tolerance=Tolerance())
    assert str(found).startswith(f"layer '{layer}' (")


def test_a_changed_weight_in_the_saved_model_is_named(tmp_path: Path) -> None:
    model = network()
    saved_model_from_traced(traced_network(model), tmp_path / "saved")
    model.get_layer("middle").bias.assign(np.ones(4))
    traced = traced_network(model)
    found = diverging_layer(traced, tmp_path / "saved", IMAGES, tolerance=Tolerance())
    assert "layer 'middle'" in str(found)


def test_weights_that_are_read_from_a_file_are_read_for_the_closer_look(tmp_path: Path) -> None:
    class Reader:
        in_memory = False

        def value(self, variable: Any) -> Any:
            return np.full(variable.shape, 2, np.float32)

    weight = tf.Variable(np.ones((2, 2), np.float32))
    inputs: Any = {"x": ("float32", (None, 2))}
    traced = traced_formula(lambda t: {"y": tf.nn.relu(t["x"] @ weight, "act")}, inputs)
    onnx_from_traced(traced, tmp_path / "m.onnx", opset=17)
    other = traced_formula(
        lambda t: {"y": tf.nn.relu(t["x"] @ weight, "act") + 0}, inputs, weights=Reader()
    )
    batch = {"x": np.ones((2, 2), np.float32)}
    assert diverging_layer(other, tmp_path / "m.onnx", batch, tolerance=Tolerance()) is not None


def test_loops_and_branches_of_tensorflow_1_are_gone_around(tmp_path: Path) -> None:
    weight = tf.Variable(np.ones((2, 2), np.float32))
    with tf.Graph().as_default() as graph:
        tf.compat.v1.disable_control_flow_v2()
        x = tf.compat.v1.placeholder(tf.float32, (None, 2), name="x")
        _, y = tf.compat.v1.while_loop(
            lambda i, _: i < 3, lambda i, y: (i + 1, y * 2.0), (0, x), name="loop"
        )
        tf.identity(y, "looped")
        tf.compat.v1.enable_control_flow_v2()

    def imported(x: Any) -> Any:
        graph_def = graph.as_graph_def()
        looped = tf.graph_util.import_graph_def(graph_def, {"x:0": x}, ["looped:0"], name="")
        return tf.matmul(tf.ensure_shape(looped[0], (None, 2)), weight, name="late")

    def call(t: Any) -> Any:
        return {"y": tf.compat.v1.wrap_function(imported, [tf.TensorSpec((None, 2))])(t["x"])}

    traced = traced_formula(call, {"x": ("float32", (None, 2))})
    saved_model_from_traced(traced, tmp_path / "saved")
    weight.assign(np.zeros((2, 2)))
    batch = {"x": np.ones((2, 2), np.float32)}
    found = diverging_layer(traced, tmp_path / "saved", batch, tolerance=Tolerance())
    assert "late" in str(found)


def test_the_same_nan_is_no_difference(tmp_path: Path) -> None:
    inputs: Any = {"x": ("float32", (None, 2))}
    traced = traced_formula(lambda t: {"y": tf.math.log(t["x"]) + 1.0}, inputs)
    onnx_from_traced(traced, tmp_path / "m.onnx", opset=17)
    batch = {"x": np.array([[-1, 0], [1, 2]], np.float32)}
    assert diverging_layer(traced, tmp_path / "m.onnx", batch, tolerance=Tolerance()) is None


def test_parity_of_two_models_names_the_layer_too(tmp_path: Path) -> None:
    model = network()
    onnx_from_traced(traced_network(model), tmp_path / "m.onnx", opset=17)
    broken_onnx(tmp_path / "m.onnx", 1)
    report = check_parity(model, tmp_path / "m.onnx", samples=IMAGES)
    assert str(report.first_divergence).startswith("layer 'middle'")
    first = tmp_path / "first.onnx"
    onnx_from_traced(traced_network(model), first, opset=17)
    assert "middle" in str(check_parity(first, tmp_path / "m.onnx").first_divergence)
