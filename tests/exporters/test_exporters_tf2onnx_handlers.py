from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.runtimes.runtime import open_runtime

HARD = np.float32([[-np.inf, -200, -3, -1e-7, -0.0, 0.0], [1e-20, 1e-7, 0.3, 3, 60, np.inf]])


def converted(call: Callable[[Any], Any], x: Any, path: Path) -> tuple[Any, Any]:
    """What TensorFlow gives, and what ONNX Runtime gives."""
    spec = TensorSpec(name="x", dtype="float32", shape=(None, *x.shape[1:]))
    function = trace_function(lambda tensors: {"y": call(tensors["x"])}, [spec])
    traced = Traced(
        function=function,
        module=module_of(function, None),
        inputs=(spec,),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(None,)),),
        open_reference=lambda: None,
        parameters=0,
    )
    onnx_from_traced(traced, path / "model.onnx", opset=17)
    with open_runtime(path / "model.onnx") as runtime:
        return function({"x": tf.constant(x)})["y"].numpy(), runtime.predict({"x": x})["y"]


@pytest.mark.parametrize("name", ["expm1", "log1p"])
def test_functions_that_onnx_lacks_are_exact_near_zero(name: str, tmp_path: Path) -> None:
    x = np.maximum(HARD, -1) if name == "log1p" else HARD
    expected, found = converted(getattr(tf.math, name), x, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-30)


def test_the_sign_of_zero_is_seen_by_argmax(tmp_path: Path) -> None:
    x = keras.Input((3,), name="x")
    model = keras.Model(x, ops.argmax(x, axis=-1))
    traced = traced_from_source(tmp_path / "model", device=Device(), model=model)
    onnx_from_traced(traced, tmp_path / "model.onnx", opset=17)
    values = np.float32([[-0.0, 0.0, -1], [-2, -1, -np.inf], [0, 5, 5]])
    with open_runtime(tmp_path / "model.onnx") as runtime:
        (found,) = runtime.predict({"x": values}).values()
    assert found.tolist() == ops.argmax(values, axis=-1).numpy().tolist() == [1, 1, 1]


def test_other_bits_of_a_number_are_told_to_be_out_of_reach(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="bits of a number"):
        converted(lambda x: tf.bitcast(x, tf.int32) + 1, HARD, tmp_path)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.0, 0.3]),
        lambda x: tf.searchsorted(tf.sort(x), x[:, ::2], side="left"),
        lambda x: tf.searchsorted(tf.sort(x), x[:, ::2], side="right"),
        lambda x: tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(x[:1, :1, None])),
    ],
    ids=["bucketize", "lower_bound", "upper_bound", "broadcast_args"],
)
def test_counts_and_shapes_are_the_same(call: Any, tmp_path: Path) -> None:
    expected, found = converted(call, HARD, tmp_path)
    np.testing.assert_array_equal(found, expected)


def test_a_change_of_a_variable_that_no_output_reads_is_left_out(tmp_path: Path) -> None:
    calls, state = tf.Variable(0), tf.Variable(1.0)

    def counted(x: Any) -> Any:
        calls.assign_add(1)
        return 2 * x

    def stateful(x: Any) -> Any:
        return x * state.assign_add(1.0)

    expected, found = converted(counted, HARD, tmp_path)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ConversionError, match="changes its own variables"):
        converted(stateful, HARD, tmp_path)
