from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from traced_formula import traced_formula

from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.runtimes.parity import check_parity


def test_a_number_behind_a_convolution_of_any_size_is_no_bias(tmp_path: Path) -> None:
    kernel = tf.Variable(np.random.default_rng(0).random((3, 3, 2, 4), np.float32))
    inputs: Any = {"image": ("float32", (None, None, None, 2))}
    traced = traced_formula(
        lambda t: {"y": tf.nn.relu6(tf.nn.conv2d(t["image"], kernel, 1, "SAME") + 3.0)}, inputs
    )
    onnx_from_traced(traced, tmp_path / "m.onnx", opset=17)
    image = np.random.default_rng(1).random((1, 5, 4, 2), np.float32) - 0.5
    with traced.open_reference() as reference:
        assert check_parity(reference, tmp_path / "m.onnx", samples={"image": image}).passed
