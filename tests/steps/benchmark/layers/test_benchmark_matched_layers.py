"""Nodes of models that ONNX Runtime has really fused, quantized and run, matched with the reference's."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.benchmark.layers.matched_layers import matched_layers
from mlflow_tfconv.steps.benchmark.layers.profiled_model import ProfiledModel, profiled_model
from mlflow_tfconv.steps.benchmark.worker.job import Job
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel
from mlflow_tfconv.steps.benchmark.worker.profiling import profile

_WEIGHTS = {
    "first/w": (8, 3, 3, 3),
    "second/w": (8, 8, 3, 3),
    "dense/w": (8 * 8 * 8, 10),
    "dense/b": (10,),
}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Two convolutions with a residual sum, and a classifier."""
    generator = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(generator.normal(0, 0.1, shape).astype(np.float32), name)
        for name, shape in _WEIGHTS.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "first/w"], ["a"], name="first/conv", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="first/relu"),
        helper.make_node("Conv", ["b", "second/w"], ["c"], name="second/conv", pads=[1] * 4),
        helper.make_node("Add", ["c", "b"], ["d"], name="sum"),
        helper.make_node("Flatten", ["d"], ["e"], name="flat"),
        helper.make_node("MatMul", ["e", "dense/w"], ["f"], name="dense/matmul"),
        helper.make_node("Add", ["f", "dense/b"], ["g"], name="dense/bias"),
        helper.make_node("Softmax", ["g"], ["y"], name="softmax"),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
    path = tmp_path / "base.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


class _Calibration:
    """Two batches for the quantizer."""

    def __init__(self) -> None:
        self._left = [np.random.default_rng(n).normal(size=(4, 3, 8, 8)) for n in range(2)]

    def get_next(self) -> dict[str, Any] | None:
        return {"x": self._left.pop().astype(np.float32)} if self._left else None


def _profiled(model: Path) -> ProfiledModel:
    folder = model.with_suffix("")
    folder.mkdir()
    opened = OpenedModel.of(Job(model=str(model), format="onnx", folder=str(folder)))
    opened.runtime, opened.batch_sizes = open_runtime(model), [2]
    profile(opened)
    found = profiled_model(folder)
    assert found is not None
    return found


def _groups(reference: ProfiledModel, variant: ProfiledModel) -> list[tuple[set[str], set[str]]]:
    """Names of the file's nodes, and types of what the variant ran for them."""
    assert reference.file is not None
    file = reference.file.nodes
    return [
        (
            {file[number].name for number in group.file},
            {variant.ran[number].operator for number in group.variant},
        )
        for group in matched_layers(reference, variant)
    ]


def test_a_model_matches_itself_with_its_fused_nodes(network: Path) -> None:
    model = _profiled(network)
    groups = _groups(model, model)
    assert ({"first/conv", "first/relu"}, {"Conv"}) in [
        (file, ran & {"Conv"}) for file, ran in groups
    ]
    assert {"softmax"} in [file for file, _ in groups]
    matched = [n for group in matched_layers(model, model) for n in group.variant]
    assert sorted(matched) == list(range(len(model.ran)))


def test_quantized_nodes_are_matched_with_those_that_they_stand_for(network: Path) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    path = network.with_name("int8.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QUInt8}
        quantize_static(network, path, _Calibration(), **kinds)
    base, int8 = _profiled(network), _profiled(path)
    groups = _groups(base, int8)
    first = next(ran for file, ran in groups if "first/conv" in file)
    dense = next(ran for file, ran in groups if "dense/matmul" in file)
    assert "QLinearConv" in first
    assert dense & {"QLinearMatMul", "QGemm"}
    assert not [ran for file, ran in groups if {"first/conv", "dense/matmul"} <= file]
    matched = {n for group in matched_layers(base, int8) for n in group.variant}
    assert matched == set(range(len(int8.ran)))


def test_a_dynamically_quantized_product_is_matched(network: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    path = network.with_name("dynamic.onnx")
    quantize_dynamic(network, path, op_types_to_quantize=["MatMul"])
    groups = _groups(_profiled(network), _profiled(path))
    dense = next(ran for file, ran in groups if "dense/matmul" in file)
    assert any("Integer" in name or "DynamicQuantize" in name for name in dense)
