"""`compress` without a recipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

import mlflow_tfconv as tfconv
from mlflow_tfconv.artifacts import ConvertedModel, Dataset
from mlflow_tfconv.errors import AuditError, CompressionError, ConfigError


def test_int8_is_smaller_and_tells_what_it_is(
    onnx_file: Path, batches: Any, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "int8.onnx"
    variant = tfconv.compress(onnx_file, output, quantize="static_int8", calibration=batches)
    assert variant.path == output
    assert output.stat().st_size < 0.5 * onnx_file.stat().st_size
    assert (variant.name, variant.precision, variant.technique) == ("int8", "int8", "static")
    assert variant.session_options == {}
    assert list(output.parent.iterdir()) == [output]


def test_the_same_call_gives_the_same_bytes(onnx_file: Path, batches: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        tfconv.compress(
            onnx_file, tmp_path / f"{name}.onnx", quantize="static_int8", calibration=batches
        )
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_keras_model_is_exported_first(keras_file: Path, tmp_path: Path) -> None:
    variant = tfconv.compress(keras_file, tmp_path / "half.onnx", quantize="float16")
    inputs = onnx.load(variant.path).graph.input
    assert [i.name for i in inputs] == ["image"]
    assert inputs[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_a_keras_model_is_fine_tuned_when_there_is_a_dataset(
    keras_file: Path, dataset: Dataset, tmp_path: Path
) -> None:
    variant = tfconv.compress(
        keras_file,
        tmp_path / "pruned.onnx",
        prune={"sparsity": 0.75, "epochs": 1, "batch_size": 16},
        dataset=dataset.manifest,
    )
    assert variant.audit is not None
    assert variant.audit.sparsity == 0.75


def test_an_onnx_file_is_pruned_at_once(onnx_file: Path, tmp_path: Path) -> None:
    variant = tfconv.compress(onnx_file, tmp_path / "p.onnx", prune={"sparsity": 0.25})
    assert variant.audit is not None
    assert set(variant.audit.layer_sparsity.values()) == {0.25}


def test_dynamic_int8_leaves_convolutions_in_float(onnx_file: Path, tmp_path: Path) -> None:
    variant = tfconv.compress(onnx_file, tmp_path / "d.onnx", quantize="dynamic_int8")
    assert variant.audit is not None
    assert variant.audit.float_nodes == {"Conv": 2}
    assert variant.audit.quantized_nodes == 2


def test_an_onnx_file_is_compressed_without_tensorflow(
    onnx_file: Path, batches: Any, tmp_path: Path
) -> None:
    np.savez(tmp_path / "b.npz", image=batches[0]["image"])
    code = (
        "import sys, numpy, mlflow_tfconv as t\n"
        f"b = [dict(numpy.load({str(tmp_path / 'b.npz')!r}))]\n"
        f"t.compress({str(onnx_file)!r}, {str(tmp_path / 'o.onnx')!r}, quantize='static_int8',"
        " calibration=b, prune={'sparsity': 0.5})\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, "no examples to calibrate with"),
        ([], "not a single example in the calibration data"),
        (5, "are no batches"),
        ([{"picture": np.zeros((1, 8, 8, 1))}], "names in batch 0"),
        ([{"image": np.zeros((1, 8, 8))}], "wrong shape"),
        ([{"image": np.zeros((0, 8, 8, 1))}], "wrong shape"),
        ([{"image": np.full((1, 8, 8, 1), "a")}], "don't fit its type"),
        ([{"image": np.full((1, 8, 8, 1), np.nan)}], "NaN or infinite"),
        ([{"image": np.ones((2, 8, 8, 1))}], "constant"),
    ],
)
def test_bad_calibration_data_are_refused(
    calibration: Any, message: str, onnx_file: Path, tmp_path: Path
) -> None:
    with pytest.raises((CompressionError, ConfigError), match=message):
        tfconv.compress(
            onnx_file, tmp_path / "o.onnx", quantize="static_int8", calibration=calibration
        )
    assert list(tmp_path.iterdir()) == []


def test_a_quantized_model_is_not_quantized_again(
    onnx_file: Path, batches: Any, tmp_path: Path
) -> None:
    first = tfconv.compress(
        onnx_file, tmp_path / "a.onnx", quantize="static_int8", calibration=batches
    )
    with pytest.raises(CompressionError, match="quantized already"):
        tfconv.compress(first.path, tmp_path / "b.onnx", quantize="float16")


def test_a_pattern_that_matches_nothing_lists_the_names(onnx_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CompressionError) as caught:
        tfconv.compress(
            onnx_file, tmp_path / "o.onnx", prune={"sparsity": 0.5, "layers": ("attention*",)}
        )
    assert "matches none of the nodes" in str(caught.value)
    assert "MatMul" in str(caught.value)


def test_excluded_nodes_stay_in_float(onnx_file: Path, batches: Any, tmp_path: Path) -> None:
    variant = tfconv.compress(
        onnx_file,
        tmp_path / "o.onnx",
        quantize={"method": "static", "exclude": ("*classes*MatMul*",)},
        calibration=batches,
    )
    assert variant.audit is not None
    assert variant.audit.float_nodes == {"Gemm": 1}


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])],
        "nothing",
        [value("x", onnx.TensorProto.FLOAT, [None, 2])],
        [value("y", onnx.TensorProto.FLOAT, [None, 2])],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(CompressionError, match="no weights worth pruning"):
        tfconv.compress(tmp_path / "m.onnx", tmp_path / "p.onnx", prune={"sparsity": 0.5})
    with pytest.raises(AuditError, match="not what it says"):
        tfconv.compress(tmp_path / "m.onnx", tmp_path / "d.onnx", quantize="dynamic_int8")


def test_settings_that_can_not_be_used_are_refused(onnx_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="asks for nothing"):
        tfconv.compress(onnx_file, tmp_path / "o.onnx")
    with pytest.raises(ConfigError, match="Did you mean 'sparsity'"):
        tfconv.compress(onnx_file, tmp_path / "o.onnx", prune={"sparsty": 0.5})
    with pytest.raises(ConfigError, match=r"Write prune=\{'sparsity': 0.5\}"):
        tfconv.compress(onnx_file, tmp_path / "o.onnx", prune=0.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="file of its own"):
        tfconv.compress(onnx_file, onnx_file, quantize="float16")


def test_what_convert_and_compress_gave_and_live_models_are_taken(
    converted: ConvertedModel, images: Any, keras_file: Path, tmp_path: Path
) -> None:
    pruned = tfconv.compress(converted, tmp_path / "p.onnx", prune={"sparsity": 0.5, "epochs": 0})
    both = tfconv.compress(
        pruned, tmp_path / "b.onnx", quantize="static_int8", calibration=images[0]
    )
    live = tfconv.compress(
        keras.saving.load_model(keras_file), tmp_path / "l.onnx", quantize="float16"
    )
    assert both.audit.sparsity > 0.49
    assert live.precision == "float16"


def test_pruned_embeddings_and_cells_stay_sparse_in_int8(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32", name="words"),
            keras.layers.Embedding(50, 16),
            keras.layers.LSTM(16),
            keras.layers.Dense(8, name="out"),
        ]
    )
    model.save(tmp_path / "text.keras")
    variant = tfconv.compress(
        tmp_path / "text.keras",
        tmp_path / "o.onnx",
        prune={"sparsity": 0.5, "epochs": 0},
        quantize="dynamic_int8",
    )
    assert variant.audit is not None
    assert variant.audit.quantized_nodes == 2
    assert variant.audit.sparsity > 0.48
    with pytest.raises(AuditError, match="use `quantize: dynamic_int8`"):
        tfconv.compress(
            tmp_path / "text.keras",
            tmp_path / "s.onnx",
            quantize="static_int8",
            calibration=[{"words": np.arange(12).reshape(2, 6)}],
        )
