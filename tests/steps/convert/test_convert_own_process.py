"""Conversions as users run them: in guarded processes, with functions of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from keras import layers

import mlflow_tfconv as tfconv
from mlflow_tfconv.__main__ import main
from mlflow_tfconv.artifacts import Checkpoint
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.steps import ConvertConfig, ConvertStep

pytestmark = pytest.mark.own_process
LEGACY = Path(__file__).parents[2] / "fixtures/legacy"


@keras.saving.register_keras_serializable("own-process")
class Tripled(layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return factor() * x


def factor() -> float:
    return 3.0


def test_registered_layers_and_functions_travel_by_their_code(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,), name="x"), Tripled(name="tripled")])
    model.save(tmp_path / "model.keras")
    samples = ({"x": np.full((3, 2), n, np.float32)} for n in range(2))
    said: list[Any] = []
    converted = tfconv.convert(
        tmp_path / "model.keras", tmp_path / "out", samples=samples, emit=said.append
    )
    assert (converted.parity.passed, converted.parity["onnx"].examples) == (True, 6)
    assert [event.detail for event in said][-1] == "done"
    assert not list(Path.cwd().glob("__autograph*"))


def test_an_object_that_can_not_travel_is_named(tmp_path: Path) -> None:
    with (
        (tmp_path / "open").open("w") as file,
        pytest.raises(ConfigError, match=r"lambdas\['scale'\].* can't be sent"),
    ):
        tfconv.convert("m.h5", tmp_path / "out", lambdas={"scale": lambda x: print(x, file=file)})


def test_a_step_converts_in_a_users_process_too(cnn_file: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    step = ConvertStep(ConvertConfig(formats=("onnx",)))
    result = step.run(Checkpoint(path=cnn_file), tmp_path / "work", StepContext())
    assert result.output.parity["onnx"].passed


def test_the_command_converts_and_tells_all_as_json(tmp_path: Path) -> None:
    graph = LEGACY / "k08_tf1_frozen_cnn/frozen_model.pb"
    words = ["convert", str(graph), str(tmp_path / "out"), "--json", "-f", "onnx"]
    done = CliRunner().invoke(main, [*words, "--output", "probability=softmax_out"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [spec["name"] for spec in told["outputs"]] == ["probability"]
    assert told["parity"]["reports"]["onnx"]["passed"]
    assert told["saved_model"] is None


def test_the_command_tells_what_a_checkpoint_is(tmp_path: Path) -> None:
    prefix = LEGACY / "k12_tf1_ema/model.ckpt-60"
    done = CliRunner().invoke(main, ["inspect", str(prefix), "--use-ema"])
    assert done.exit_code == 0, done.output
    for words in ("TensorFlow checkpoint", "x-input  float32", "ExponentialMovingAverage"):
        assert words in done.stdout
    wrong = CliRunner().invoke(main, ["inspect", str(prefix), "--shape", "x=1,two"])
    assert (wrong.exit_code, "INPUT=1,224,224,3" in wrong.output) == (2, True)


def test_a_killed_conversion_leaves_the_former_files_and_the_next_one_cleans_up(
    cnn_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "model.onnx").write_text("of a former conversion")
    code = f"import mlflow_tfconv as t; t.convert({str(cnn_file)!r}, {str(output)!r})"
    process = subprocess.Popen([sys.executable, "-c", code])
    while not list(output.glob(".convert-*")):
        time.sleep(0.05)
    time.sleep(1.0)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (output / "model.onnx").read_text() == "of a former conversion"
    with pytest.raises(ConversionError):
        tfconv.convert(tmp_path / "nothing", output)
    assert [path.name for path in output.iterdir()] == ["model.onnx"]
