from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.guard_padding import guard_padding
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.runtimes.runtime import open_runtime


def padded(before: str, after: str, dtype: int = TensorProto.FLOAT) -> Any:
    """x -> `before` -> Pad -> Transpose -> `after`."""
    zero = numpy_helper.from_array(np.zeros((), helper.tensor_dtype_to_np_dtype(dtype)), "zero")
    nodes = [
        helper.make_node(before, ["x"], ["a"]),
        helper.make_node("Pad", ["a", "pads", "zero"], ["b"], name="pad"),
        helper.make_node("Transpose", ["b"], ["c"]),
        helper.make_node(after, ["c"], ["y"], kernel_shape=[2, 2]),
    ]
    pads = numpy_helper.from_array(np.ones(8, np.int64), "pads")
    return helper.make_model(helper.make_graph(nodes, "graph", [], [], [pads, zero]))


@pytest.mark.parametrize(
    ("before", "after", "guarded"),
    [("Neg", "MaxPool", True), ("Relu", "MaxPool", False), ("Neg", "AveragePool", False)],
)
def test_only_paddings_that_could_be_the_largest_are_guarded(
    before: str, after: str, guarded: bool
) -> None:
    graph = guard_padding(padded(before, after)).graph
    assert (graph.node[1].input[2] == "pad_padding") is guarded


def test_the_padding_is_next_to_zero_in_every_precision() -> None:
    for dtype in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
        graph = guard_padding(padded("Neg", "MaxPool", dtype)).graph
        value = numpy_helper.to_array(graph.initializer[-1])
        assert 0 < value < 1e-7
        assert graph.initializer[-1].data_type == dtype


def test_onnx_runtime_gives_the_zeros_around_negative_images(tmp_path: Path) -> None:
    image = keras.Input((6, 6, 2), name="image")
    hidden = layers.ZeroPadding2D(1)(layers.Conv2D(2, 1, bias_initializer="ones")(-image))
    model = keras.Model(image, layers.MaxPooling2D(3, strides=2, name="out")(hidden))
    traced = traced_from_source(tmp_path / "model", device=Device(), model=model)
    onnx_from_traced(traced, tmp_path / "model.onnx", opset=17)
    assert "Pad" in {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    value = np.random.default_rng(0).uniform(5, 9, (2, 6, 6, 2)).astype(np.float32)
    with open_runtime(tmp_path / "model.onnx") as runtime:
        (found,) = runtime.predict({"image": value}).values()
    np.testing.assert_allclose(found, model(value), atol=1e-5)
