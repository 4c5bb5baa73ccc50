"""Each example runs as it is, from any folder, and prints what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

TELLING = {
    "01_convert_a_keras_model.py": (
        "image       float32 (None, 8, 8, 1)",
        "onnx: largest difference ",
        " over 64 examples",
    ),
    "02_compress_and_compare.py": (
        "nodes that compute in integers",
        "float32/onnx  int8/onnx",
        "quality/agreement           1.0",
        "report.html",
    ),
    "03_is_it_the_same.py": (
        "format   Keras 3 model",
        "SavedModel and ONNX agree: True",
        "The retrained model and ONNX agree: False",
        "Refused: The onnx that was written disagrees with its source",
        "Files that it left behind: none",
    ),
    "04_steps_from_python.py": (
        "'train': 1448, 'validation': 176, 'test': 173",
        "a batch: images (64, 8, 8, 1), digits (64,)",
        "epoch 2: validation accuracy 0.",
        "agrees with Keras: True",
    ),
    "05_recipe_from_python.py": (
        "✓ register",
        "model: 58,314 parameters",
        "variants: base/keras, base/onnx, int8/onnx",
        "registered_model_version: digits 1",
        "run: ",
    ),
    "06_convert_an_old_model.py": (
        "is_training (placeholder): False",
        "TensorFlow 1 checkpoint: True",
        "problem  This model is refused: layer 'lambda_1' is a Lambda",
        "Keras 1 file: model.onnx",
    ),
    "07_train_on_a_stream.py": (
        "examples: {'train': 1599, 'validation': 202, 'test': 199}",
        "a batch: (None, 40) float32",
        "validation accuracy: 0.9",
        "ONNX agrees with Keras: True",
    ),
    "08_compare_two_models.py": (
        "old/onnx",
        "new.latency/p50_ms > 1.05 * old.latency/p50_ms: not met",
        "new.footprint/size_mb > old.footprint/size_mb / 2: not met",
        "The new model may go out: True",
        "report.html",
    ),
}

#: What lies in the user's folder afterwards; the other examples leave nothing there.
LEAVING = {
    "01_convert_a_keras_model.py": ["converted"],
    "02_compress_and_compare.py": ["compared"],
    "08_compare_two_models.py": ["verdict"],
}


@pytest.mark.parametrize("name", TELLING)
def test_an_example_runs_from_any_folder_and_prints_what_matters(name: str, tmp_path: Path) -> None:
    there = tmp_path / "a folder"
    there.mkdir()
    run = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=there,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    for line in TELLING[name]:
        assert line in run.stdout
    assert [path.name for path in there.iterdir()] == LEAVING.get(name, [])
    assert not list((tmp_path / "temporary").glob("tfconv-*"))


def test_every_example_is_tested() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(TELLING)


def _environment(folder: Path) -> dict[str, str]:
    """The user's environment with home, temporary files and state in the test's folder."""
    (folder / "temporary").mkdir()
    (folder / "home").mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    return {
        **kept,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "MLFLOW_RECIPES_EXECUTION_DIRECTORY": str(folder / "state"),
        "PYTHONIOENCODING": "utf-8",
    }
