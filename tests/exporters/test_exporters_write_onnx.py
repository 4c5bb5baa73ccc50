from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlflow_tfconv.exporters.held_array import HeldArray
from mlflow_tfconv.exporters.held_tensors import HeldTensors
from mlflow_tfconv.exporters.write_onnx import weights_taken, write_onnx

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)
BIAS = np.ones(4, dtype=np.float32)
X = np.ones((2, 3), dtype=np.float32)


def model(tensors: HeldTensors, weight: Any = WEIGHT) -> onnx.ModelProto:
    """x W + b, of which only W is held."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "W"], ["xW"]),
            helper.make_node("Add", ["xW", "b"], ["y"]),
        ],
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])],
        [tensors.from_array(weight, "W"), tensors.from_array(BIAS, "b")],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def written(path: Path, proto: onnx.ModelProto, tensors: HeldTensors, **limit: int) -> None:
    write_onnx(proto, weights_taken(proto.graph, tensors), path, **limit)


def result(path: Path) -> Any:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": X})[0]


def test_one_file_is_what_protobuf_would_have_written(tmp_path: Path) -> None:
    tensors = HeldTensors(large_bytes=32)
    written(tmp_path / "model.onnx", model(tensors), tensors)
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    held, kept = (onnx.load(tmp_path / "model.onnx").graph.initializer[i] for i in (1, 0))
    assert (held.name, kept.name) == ("W", "b")
    np.testing.assert_array_equal(numpy_helper.to_array(held), WEIGHT)
    np.testing.assert_array_equal(result(tmp_path / "model.onnx"), X @ WEIGHT + BIAS)


def test_what_is_too_large_lies_in_a_second_file(tmp_path: Path) -> None:
    tensors = HeldTensors(large_bytes=16)
    path = tmp_path / "model.onnx"
    written(path, model(tensors), tensors, most_file_bytes=100)
    onnx.checker.check_model(str(path), full_check=True)
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["model.onnx", "model.onnx.data"]
    places = [
        {entry.key: entry.value for entry in tensor.external_data}
        for tensor in onnx.load(path, load_external_data=False).graph.initializer
    ]
    assert [(p["location"], p["offset"]) for p in places] == [
        ("model.onnx.data", "0"),
        ("model.onnx.data", "4096"),
    ]
    np.testing.assert_array_equal(result(path), X @ WEIGHT + BIAS)


@pytest.mark.parametrize("dtype", ["float16", "float64", ml_dtypes.bfloat16, "int64", "uint8"])
def test_values_of_any_type_and_layout_are_kept(dtype: Any, tmp_path: Path) -> None:
    tensors = HeldTensors(large_bytes=1)
    values = np.arange(6).astype(dtype).reshape(2, 3).T
    graph = helper.make_graph(
        [], "g", [], [], [tensors.from_array(HeldArray(lambda: values, (3, 2), dtype, ""), "w")]
    )
    written(tmp_path / "m.onnx", helper.make_model(graph), tensors)
    (tensor,) = onnx.load(tmp_path / "m.onnx").graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), values)


@pytest.mark.parametrize("most_file_bytes", [100, 10_000])
def test_a_file_that_can_not_be_finished_is_taken_away(
    most_file_bytes: int, tmp_path: Path
) -> None:
    def lost() -> Any:
        raise OSError("the disk is gone")

    tensors = HeldTensors(large_bytes=1)
    proto = model(tensors, HeldArray(lost, (3, 4), "float32", "lost"))
    with pytest.raises(OSError, match="the disk is gone"):
        written(tmp_path / "model.onnx", proto, tensors, most_file_bytes=most_file_bytes)
    assert list(tmp_path.iterdir()) == []


def test_weights_in_the_body_of_a_loop_are_written_too(tmp_path: Path) -> None:
    tensors = HeldTensors(large_bytes=1)
    branch = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [tensors.from_array(WEIGHT, "W")],
    )
    other = onnx.GraphProto.FromString(branch.SerializeToString())
    other.node[0].input[1] = other.initializer[0].name = "V"
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=other)],
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])],
        [numpy_helper.from_array(np.array(True), "c")],
    )
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    written(tmp_path / "model.onnx", proto, tensors, most_file_bytes=100)
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    np.testing.assert_array_equal(result(tmp_path / "model.onnx"), X @ WEIGHT)
