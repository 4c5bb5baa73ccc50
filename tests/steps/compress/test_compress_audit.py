"""What is really inside a file, and whether it keeps its promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow as tf

from mlflow_tfconv.errors import AuditError
from mlflow_tfconv.steps.compress.audit import Promise, audit, require_kept


def test_a_float_model_that_says_int8_is_found_out(onnx_file: Path) -> None:
    found = audit(onnx_file, "onnx", Promise(precision="int8"))
    assert "100% of its weights are not" in found.findings[0]
    assert "no node computes in integers" in found.findings[1]
    with pytest.raises(AuditError, match="not what it says"):
        require_kept(found, "int8", "static")


def test_int8_weights_that_are_computed_in_float_are_found_out(tmp_path: Path) -> None:
    value, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    shape = [None, 4, 8, 8]
    graph = onnx.helper.make_graph(
        [node("DequantizeLinear", ["w", "scale"], ["f"]), node("Conv", ["x", "f"], ["y"])],
        "stored_small",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, shape)],
        [
            onnx.numpy_helper.from_array(np.ones((4, 4, 1, 1), np.int8), "w"),
            onnx.numpy_helper.from_array(np.float32(0.1), "scale"),
        ],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "m.onnx")
    found = audit(tmp_path / "m.onnx", "onnx", Promise(precision="int8"))
    assert found.findings == ("int8, but no node computes in integers (1 Conv in float)",)


def test_a_dense_model_that_says_pruned_is_found_out(onnx_file: Path) -> None:
    found = audit(onnx_file, "onnx", Promise(zeros=1000))
    assert "pruned, but only" in found.findings[0]


def test_a_float32_model_that_says_float16_is_found_out(onnx_file: Path) -> None:
    assert audit(onnx_file, "onnx", Promise(precision="float16")).findings


def test_an_honest_model_has_no_findings(onnx_file: Path) -> None:
    found = audit(onnx_file, "onnx")
    assert found.findings == ()
    assert found.size_bytes == onnx_file.stat().st_size
    assert 0 < found.compressed_bytes < found.size_bytes
    assert found.float_nodes == {"Conv": 2, "Gemm": 2}


def test_a_keras_file_is_audited_without_its_optimizer(keras_file: Path) -> None:
    found = audit(keras_file, "keras")
    # Kernels, biases and the four vectors of the batch normalization.
    kernels = 9 * 16 + 9 * 16 * 32 + 512 * 32 + 32 * 3
    assert found.weights_bytes == {"float32": 4 * (kernels + 4 * 16 + 32 + 32 + 3)}
    assert len(found.layer_sparsity) == 4


def test_a_saved_model_is_audited_with_all_its_files(tmp_path: Path) -> None:
    module = tf.Module()
    module.weights = tf.Variable(tf.constant([[0.0, 1.0], [2.0, 3.0]]))
    module.call = tf.function(
        lambda x: x @ module.weights, input_signature=[tf.TensorSpec((None, 2))]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    found = audit(tmp_path / "saved", "saved_model")
    files = [p for p in (tmp_path / "saved").rglob("*") if p.is_file()]
    assert found.size_bytes == sum(p.stat().st_size for p in files)
    assert found.weights_bytes == {"float32": 16}
    assert found.sparsity == 0.25


def test_external_data_count_as_part_of_the_file(onnx_file: Path, tmp_path: Path) -> None:
    model = onnx.load(onnx_file)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=256)
    found = audit(tmp_path / "m.onnx", "onnx")
    assert found.size_bytes >= sum(found.weights_bytes.values())
    assert found.weights_bytes == audit(onnx_file, "onnx").weights_bytes
