"""The estimate for ONNX files: weights without reading them, activations at each batch size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mlflow_tfconv as tfconv
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.steps.benchmark.estimate import onnx_resolved
from mlflow_tfconv.steps.benchmark.estimate.onnx_estimate import onnx_estimate

_FLOAT = TensorProto.FLOAT


def written(path: Path, nodes: list[Any], *, shape: list[Any], **weights: Any) -> Path:
    """A model with the input x and the output y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", _FLOAT, shape)],
        [helper.make_tensor_value_info("y", _FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.fixture
def perceptron(tmp_path: Path) -> Path:
    """x (n, 64) -> 1000 -> Relu -> y (n, 10)."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    return written(
        tmp_path / "m.onnx",
        nodes,
        shape=["n", 64],
        w=np.zeros((64, 1000), np.float32),
        v=np.zeros((1000, 10), np.float32),
    )


def test_weights_and_activations_are_told_for_each_batch_size(perceptron: Path) -> None:
    estimate = onnx_estimate(perceptron, (1, 32))
    assert estimate.weights_bytes == {"float32": 4 * (64_000 + 10_000)}
    assert {n: a.size_bytes for n, a in estimate.activations.items()} == {
        1: 4 * (1000 + 10),
        32: 32 * 4 * (1000 + 10),
    }
    assert estimate.complete


def test_on_a_gpu_the_inputs_are_there_too(perceptron: Path) -> None:
    estimate = onnx_estimate(perceptron, (32,), where="gpu")
    assert estimate.activations[32].size_bytes == 32 * 4 * (64 + 1000 + 10)


def test_a_batch_size_that_was_not_asked_for_lies_on_the_line(perceptron: Path) -> None:
    estimate = onnx_estimate(perceptron, (1, 32))
    again = onnx_estimate(perceptron, (500,))
    assert estimate.peak_mb(500) == again.peak_mb(500)


def test_the_largest_batch_is_the_last_that_fits(perceptron: Path) -> None:
    estimate = onnx_estimate(perceptron, (1, 32))
    largest = estimate.largest_batch(100)
    assert largest is not None
    assert estimate.fits(100, largest)
    assert not estimate.fits(100, largest + 1)
    assert estimate.largest_batch(1) is None


def test_external_data_is_not_read(perceptron: Path, tmp_path: Path) -> None:
    model = onnx.load(perceptron)
    outside = tmp_path / "outside.onnx"
    onnx.save(model, outside, save_as_external_data=True, location="w.data", size_threshold=0)
    (tmp_path / "w.data").unlink()
    assert onnx_estimate(outside).weights_bytes == onnx_estimate(perceptron).weights_bytes


def test_shapes_that_are_computed_are_followed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["t"], axis=0),
        helper.make_node("Exp", ["x"], ["e"]),
        helper.make_node("Reshape", ["e", "t"], ["v"]),
        helper.make_node("Softmax", ["v"], ["y"]),
    ]
    constants = {"zero": np.array([0]), "rest": np.array([4, 16])}
    path = written(tmp_path / "m.onnx", nodes, shape=["n", 64], **constants)
    estimate = onnx_estimate(path, (8,))
    assert estimate.complete
    assert estimate.activations[8].size_bytes == 2 * 8 * 64 * 4


def test_quantized_nodes_are_counted_as_they_run(tmp_path: Path) -> None:
    quantize = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])]
    quantize += [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"])]
    quantize += [helper.make_node("DequantizeLinear", ["w", "s", "zw"], ["dw"])]
    quantize += [helper.make_node("MatMul", ["d", "dw"], ["h"])]
    quantize += [helper.make_node("QuantizeLinear", ["h", "s", "z"], ["hq"])]
    quantize += [helper.make_node("DequantizeLinear", ["hq", "s", "z"], ["y"])]
    weights = {"w": np.zeros((64, 1000), np.int8), "s": np.float32(0.1)}
    points = {"z": np.uint8(128), "zw": np.int8(0)}
    path = written(tmp_path / "m.onnx", quantize, shape=["n", 64], **weights, **points)
    estimate = onnx_estimate(path, (32,))
    # Integers of the product and the floats of the output: the product's floats never exist.
    assert estimate.activations[32].size_bytes == 32 * (1000 + 4 * 1000)
    assert estimate.weights_bytes["int8"] == 64_001


def test_float16_is_held_as_float32_on_the_cpu(tmp_path: Path, perceptron: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half = tmp_path / "half.onnx"
    onnx.save(convert_float_to_float16(onnx.load(perceptron), keep_io_types=True), half)
    full = onnx_estimate(perceptron)
    assert onnx_estimate(half, where="cpu").loaded_bytes == full.loaded_bytes
    assert onnx_estimate(half, where="gpu").loaded_bytes == full.loaded_bytes // 2


def test_bodies_of_branches_count(tmp_path: Path) -> None:
    def branch(name: str, width: int) -> Any:
        nodes = [
            helper.make_node("Expand", ["x", f"{name}_s"], [f"{name}_e"]),
            helper.make_node("ReduceSum", [f"{name}_e"], [name], keepdims=0),
        ]
        shape = numpy_helper.from_array(np.array([width, 8, 64]), f"{name}_s")
        out = helper.make_tensor_value_info(name, _FLOAT, None)
        return helper.make_graph(nodes, name, [], [out], [shape])

    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
        helper.make_node(
            "If", ["c"], ["y"], then_branch=branch("t", 10), else_branch=branch("e", 50)
        ),
    ]
    path = written(tmp_path / "m.onnx", nodes, shape=["n", 64])
    assert onnx_estimate(path, (8,)).activations[8].size_bytes >= 50 * 8 * 64 * 4


def test_open_shapes_have_to_be_given(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", ["x"], ["y"])]
    path = written(tmp_path / "m.onnx", nodes, shape=["n", "length", 8])
    with pytest.raises(ConfigError, match=r"shape of the input 'x'"):
        onnx_estimate(path)
    assert onnx_estimate(path, (2,), shapes={"x": (5, 8)}).activations[2].size_bytes == 320


def test_a_fixed_batch_is_the_only_one(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", ["x"], ["y"])]
    path = written(tmp_path / "m.onnx", nodes, shape=[4, 8])
    estimate = onnx_estimate(path, (1, 32))
    assert list(estimate.activations) == [4]
    with pytest.raises(ConfigError, match="one size only"):
        estimate.peak_mb(32)
    assert estimate.largest_batch(1000) == 4
    assert estimate.largest_batch(1) is None


def test_an_input_of_a_fixed_size_beside_one_that_is_open_fixes_no_batch(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["x", "k"], ["y"])]
    path = written(tmp_path / "m.onnx", nodes, shape=["n", 8])
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("k", _FLOAT, [1]))
    onnx.save(model, path)
    assert list(onnx_estimate(path, (1, 32)).activations) == [1, 32]


def test_a_shape_that_lies_outside_the_file_is_read(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", ["x"], ["e"]), helper.make_node("Expand", ["e", "t"], ["y"])]
    path = written(tmp_path / "m.onnx", nodes, shape=["n", 1, 8], t=np.array([1, 50, 8]))
    outside = tmp_path / "outside.onnx"
    onnx.save(onnx.load(path), outside, save_as_external_data=True, location="w", size_threshold=0)
    found = onnx_estimate(outside, (4,))
    assert found.complete
    assert found.activations[4].size_bytes == 4 * 4 * 8 * 51


def test_where_onnx_runtime_refuses_the_model_the_shapes_of_onnx_have_to_do(
    perceptron: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(onnx_resolved, "_session", refuses)
    estimate = onnx_estimate(perceptron, (32,))
    assert estimate.activations[32].size_bytes == 32 * 4 * 1010


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_text("nothing")
    with pytest.raises(ConversionError, match="This is not an ONNX file"):
        onnx_estimate(path)


def test_the_public_function_takes_a_path_and_answers_for_a_gpu(perceptron: Path) -> None:
    estimate = tfconv.estimate_memory(perceptron, device="cuda:0", batch_sizes=32)
    assert estimate.where == "gpu"
    assert estimate.fits(4000, 32)
    assert "batch 32" in str(estimate)


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(perceptron: Path, budget: float) -> None:
    with pytest.raises(ConfigError, match="budget"):
        onnx_estimate(perceptron).fits(budget)


@pytest.mark.parametrize("sizes", [(), (0,), (1.5,)])
def test_batch_sizes_that_are_none_are_refused(perceptron: Path, sizes: Any) -> None:
    with pytest.raises(ConfigError, match="batch sizes"):
        tfconv.estimate_memory(perceptron, batch_sizes=sizes)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="no model"):
        tfconv.estimate_memory(3)
