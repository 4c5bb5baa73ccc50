"""The command `tfconv` on good and bad files: readable words, and exit codes that scripts can use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from mlflow_tfconv.__main__ import main


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ONNX model, and files that are none or damaged."""
    folder = tmp_path_factory.mktemp("files")
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "m.onnx")
    (folder / "cut.onnx").write_bytes((folder / "m.onnx").read_bytes()[:1000])
    (folder / "text.onnx").write_text("hello\n")
    (folder / "text.npz").write_text("hello\n")
    np.savez(folder / "good.npz", x=np.random.default_rng(0).normal(size=(8, 64)))
    np.savez(folder / "other.npz", z=np.zeros((8, 64)))
    return folder


def test_a_model_is_inspected_and_compressed(folder: Path, tmp_path: Path) -> None:
    seen = call("inspect", folder / "m.onnx")
    assert (seen.exit_code, "x  float32 (any, 64)" in seen.output) == (0, True)
    output = tmp_path / "q.onnx"
    made = call(
        *("compress", folder / "m.onnx", output),
        *("-q", "static_int8", "--calibration", folder / "good.npz"),
    )
    assert made.exit_code == 0, made.output
    assert f"{output}  0.0" in made.output
    assert "4,160 B int8" in made.output


def test_what_fails_is_told_below_the_table_and_by_the_exit_code(folder: Path) -> None:
    result = call("benchmark", folder / "m.onnx", f"bad={folder / 'cut.onnx'}", "-b", 1)
    assert result.exit_code == 1
    assert "m/onnx" in result.output
    assert "bad/onnx could not be measured: ONNX Runtime can't load this file." in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("inspect {}/nothing", "There is no model at this path."),
        ("inspect {}/text.onnx", "This file is no model that we know."),
        ("inspect {}/cut.onnx", "or it was cut off."),
        ("convert {}/cut.onnx {}/out", "or it was cut off."),
        ("convert {}/m.onnx {}/out", "It is an ONNX model already"),
        ("convert {}/m.onnx {}/text.onnx", "File exists"),
        ("compress {}/m.onnx {}/out.onnx", "asks for nothing"),
        ("compress {}/m.onnx {}/out.onnx --sparsity 50", "a number between 0 and 1"),
        ("compress {}/m.onnx {}/m.onnx -q float16", "The output is the model itself."),
        ("compress {}/m.onnx {}/o.onnx -q static_int8", "no examples to calibrate with"),
        ("compress {}/text.onnx {}/o.onnx -q float16", "no model that we know"),
        ("benchmark {}/nothing.onnx -b 1", "There is no model at this path."),
    ],
)
def test_an_error_is_words_and_exit_code_1(folder: Path, words: str, message: str) -> None:
    result = call(*words.replace("{}", str(folder)).split())
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, message in result.output) == (1, True), result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("benchmark {}/m.onnx -b 0", "whole numbers above 0"),
        ("benchmark {}/m.onnx --device gpu", "The device is not understood."),
    ],
)
def test_a_benchmark_that_can_not_be_understood_is_exit_code_2(
    folder: Path, words: str, message: str
) -> None:
    result = call(*words.replace("{}", str(folder)).split())
    assert (result.exit_code, message in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("gone.npz", "No such file"),
        ("text.npz", "The calibration data can't be read."),
        ("other.npz", "The names in batch 0 of the calibration data"),
    ],
)
def test_bad_calibration_data_are_told(
    folder: Path, tmp_path: Path, file: str, message: str
) -> None:
    words = ("compress", folder / "m.onnx", tmp_path / "o.onnx", "-q", "static_int8")
    result = call(*words, "--calibration", folder / file)
    assert (result.exit_code, message in result.output) == (1, True), result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [("inspect",), ("compress", "m", "o", "-q", "int4"), ("nothing",)]
)
def test_a_wrong_use_is_exit_code_2(words: tuple[str, ...]) -> None:
    result = call(*words)
    assert (result.exit_code, "Usage: " in result.output) == (2, True)
