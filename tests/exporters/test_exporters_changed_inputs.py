from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tensorflow as tf
from traced_formula import answers, traced_formula

from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.weights import StoredWeights
from mlflow_tfconv.exporters.with_layout import with_layout
from mlflow_tfconv.exporters.with_preprocessing import with_preprocessing
from mlflow_tfconv.exporters.with_shapes import with_shapes
from mlflow_tfconv.runtimes.parity import check_parity

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3))
IMAGES = PIXELS.astype(np.float32)


def network(padding: str = "VALID", **fields: Any) -> Traced:
    """A convolution over images of any size."""
    kernel = tf.Variable(np.random.default_rng(1).random((3, 3, 3, 2), np.float32) - 0.5)
    inputs: Any = {"image": ("float32", (None, None, None, 3))}
    return traced_formula(
        lambda t: {"y": tf.nn.relu(tf.nn.conv2d(t["image"], kernel, 1, padding, name="conv"))},
        inputs,
        **fields,
    )


def agree(traced: Traced, batch: dict[str, Any], folder: Path) -> None:
    """Both exports give what the reference gives."""
    onnx_from_traced(traced, folder / "m.onnx", opset=17)
    saved_model_from_traced(traced, folder / "saved")
    for export in ("m.onnx", "saved"):
        with traced.open_reference() as reference:
            report = check_parity(reference, folder / export, samples=batch)
        assert report.passed, (report.problem, report.first_divergence)


def test_sizes_are_fixed_and_outputs_follow(tmp_path: Path) -> None:
    traced = with_shapes(network(), {"image": (1, 6, 5, 3)})
    assert traced.inputs[0].shape == (1, 6, 5, 3)
    assert traced.outputs[0].shape == (1, 4, 3, 2)
    agree(traced, {"image": IMAGES[:1]}, tmp_path)
    assert with_shapes(traced, {"image": (1, 6, 5, 3)}) is traced


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"picture": (1, 6, 5, 3)}, "Did you mean|is no input"),
        ({"image": (1, 6, 5)}, "can't have this shape"),
        ({"image": (1, 6, 5, 4)}, "can't have this shape"),
        ({"image": (1, 2, 2, 3)}, "can't take inputs of these shapes"),
    ],
)
def test_sizes_that_the_model_can_not_have_are_refused(shapes: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        with_shapes(network(), shapes)


def test_images_are_taken_with_their_channels_first(tmp_path: Path) -> None:
    traced = with_layout(network(), "nchw")
    assert traced.inputs[0].shape == (None, 3, None, None)
    batch = {"image": np.moveaxis(IMAGES, -1, 1)}
    assert np.allclose(answers(traced, batch)["y"], answers(network(), {"image": IMAGES})["y"])
    agree(traced, batch, tmp_path)
    assert with_layout(traced, "nchw") is traced
    assert with_layout(traced, "nhwc").inputs == network().inputs
    with pytest.raises(ConversionError, match="no images"):
        with_layout(traced_formula(lambda t: t, {"x": ("float32", (None, 3))}), "nchw")


@pytest.mark.parametrize(
    ("padding", "step", "operations"),
    [
        ("VALID", {"scale": 1 / 127.5, "offset": -1}, set()),
        ("VALID", {"mean": [120, 110, 100], "std": [50, 60, 70]}, set()),
        ("SAME", {"scale": [0.1, 0.2, 0.3]}, set()),
        ("SAME", {"scale": 1 / 127.5, "offset": -1}, {"Add"}),
    ],
)
def test_a_scale_becomes_part_of_the_first_weights_where_that_is_exact(
    padding: str, step: Any, operations: set[str], tmp_path: Path
) -> None:
    plain = network(padding)
    traced = with_preprocessing(plain, {"image": {**step, "dtype": "uint8"}})
    assert traced.inputs[0].dtype == "uint8"
    agree(traced, {"image": PIXELS.astype(np.uint8)}, tmp_path)
    nodes = onnx.load(tmp_path / "m.onnx").graph.node
    assert {"Mul", "Add", "Sub"} & {node.op_type for node in nodes} == operations


def test_weights_in_a_file_are_scaled_when_they_are_read(tmp_path: Path) -> None:
    traced = network()
    kernel = traced.function.graph.variables[0]
    value = kernel.numpy()
    stored = network(weights=StoredWeights({}))
    variable = stored.function.graph.variables[0]
    variable.assign(value * np.nan)
    stored = replace(
        stored,
        weights=StoredWeights({id(variable.handle): lambda: value}),
        open_reference=traced.open_reference,
    )
    changed = with_preprocessing(stored, {"image": {"scale": 2, "offset": 1}})
    onnx_from_traced(changed, tmp_path / "m.onnx", opset=17)
    with changed.open_reference() as reference:
        assert check_parity(reference, tmp_path / "m.onnx", samples={"image": IMAGES}).passed


def test_what_can_not_be_folded_stays_in_front(tmp_path: Path) -> None:
    weight = tf.Variable(np.ones((3, 2), np.float32))
    inputs: Any = {"x": ("float32", (None, 3))}
    traced = traced_formula(lambda t: {"y": t["x"] @ weight, "x_too": t["x"]}, inputs)
    changed = with_preprocessing(traced, {"x": {"mean": 2, "std": 4}})
    assert np.allclose(answers(changed, {"x": np.full((1, 3), 6, np.float32)})["x_too"], 1)
    agree(changed, {"x": np.ones((2, 3), np.float32)}, tmp_path)


def test_preprocessing_can_be_a_function_of_tensors(tmp_path: Path) -> None:
    def decode(pixels: Any) -> Any:
        return tf.image.resize(tf.cast(pixels, tf.float32) / 255.0, [6, 6])

    step = {"function": decode, "dtype": "uint8"}
    traced = with_preprocessing(network(), {"image": step})
    assert (traced.inputs[0].dtype, traced.outputs[0].shape) == ("uint8", (None, 4, 4, 2))
    agree(traced, {"image": PIXELS.astype(np.uint8)}, tmp_path)
    assert with_preprocessing(network(), lambda x: x * 2).inputs == network().inputs


@pytest.mark.parametrize(
    "given",
    [
        {"picture": {"scale": 1}},
        {"image": {"scal": 1}},
        {"image": {"scale": 1, "mean": 2}},
        {"image": {"std": 0}},
        {"image": {"scale": "a"}},
        {"image": {}},
        3,
    ],
)
def test_preprocessing_that_is_not_understood_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="preprocessing"):
        with_preprocessing(network(), given)


def test_preprocessing_that_does_not_fit_the_model_is_refused() -> None:
    with pytest.raises(ConversionError, match="can't take what the preprocessing gives"):
        with_preprocessing(network(), lambda x: x[:, 0])
