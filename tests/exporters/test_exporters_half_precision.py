from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tensorflow as tf
from traced_formula import traced_formula

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.half_onnx import HalfPrecision, half_onnx
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.weights import StoredWeights
from mlflow_tfconv.exporters.with_half_weights import with_half_weights
from mlflow_tfconv.runtimes.parity import check_parity

BATCH = {
    "x": np.random.default_rng(0).random((3, 32), np.float32),
    "word": np.array([0, 5, 31], np.int32),
}
BOTH: Any = pytest.mark.parametrize("precision", ["float16", "bfloat16"])


def network(largest: float = 1.0) -> Traced:
    """A matrix, an embedding and a vector."""
    dice = np.random.default_rng(1)
    matrix = tf.Variable(dice.random((32, 32), np.float32) * largest)
    table = tf.Variable(dice.random((32, 32), np.float32))
    bias = tf.Variable(dice.random(32, np.float32))
    inputs: Any = {"x": ("float32", (None, 32)), "word": ("int32", (None,))}
    return traced_formula(
        lambda t: {"y": t["x"] @ matrix + tf.gather(table, t["word"]) + bias}, inputs
    )


def parity(traced: Traced, export: Path, precision: str) -> Any:
    with traced.open_reference() as reference:
        return check_parity(reference, export, samples=BATCH, tolerance=precision)


@BOTH
def test_an_onnx_file_is_half_as_large_and_agrees(precision: HalfPrecision, tmp_path: Path) -> None:
    traced, path = network(), tmp_path / "m.onnx"
    onnx_from_traced(traced, path, opset=17)
    size_bytes = path.stat().st_size
    half_onnx(path, precision)
    assert path.stat().st_size < 0.65 * size_bytes
    report = parity(traced, path, precision)
    assert report.passed, report.problem
    assert report.max_abs_error > 0
    names = [value.name for value in onnx.load(path).graph.input]
    assert sorted(names) == ["word", "x"]


@BOTH
def test_a_saved_model_has_half_weights_and_computes_as_before(
    precision: HalfPrecision, tmp_path: Path
) -> None:
    traced = network()
    half = with_half_weights(traced, precision)
    kinds = sorted(v.dtype.name for v in half.function.graph.variables)
    assert kinds == sorted(["float32", precision, precision])
    saved_model_from_traced(half, tmp_path / "saved")
    report = parity(traced, tmp_path / "saved", precision)
    assert report.passed, report.problem
    assert report.max_abs_error > 0


def test_weights_in_a_file_are_halved_when_they_are_read(tmp_path: Path) -> None:
    traced = network()
    variables = list(traced.function.graph.variables)
    readers = {id(v.handle): (lambda value=v.numpy(): value) for v in variables}
    stored = replace(traced, weights=StoredWeights(readers))
    half = with_half_weights(stored, "float16")
    saved_model_from_traced(half, tmp_path / "saved")
    assert parity(traced, tmp_path / "saved", "float16").passed


def test_a_weight_beyond_float16_is_refused_and_fits_into_bfloat16(tmp_path: Path) -> None:
    traced = network(largest=1e6)
    onnx_from_traced(traced, tmp_path / "m.onnx", opset=17)
    with pytest.raises(ConversionError, match="doesn't fit into float16"):
        half_onnx(tmp_path / "m.onnx", "float16")
    with pytest.raises(ConversionError, match="doesn't fit into float16"):
        with_half_weights(traced, "float16")
    half_onnx(tmp_path / "m.onnx", "bfloat16")
    assert parity(traced, tmp_path / "m.onnx", "bfloat16").passed
