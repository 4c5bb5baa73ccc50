"""Recipes that start from a model of long ago, through all steps, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from recipe_folder import RecipeFolder

pytestmark = pytest.mark.mlflow
LEGACY = Path(__file__).parent / "fixtures/legacy"

RECIPE = """\
recipe: "tfconv/v1"
steps:
  ingest: {using: custom, label: kind}
  convert: CONVERT
  compress:
    variants:
      - {name: int8, quantize: static_int8}
  benchmark: {batch_sizes: [1], min_time_s: 0.02, min_count: 5, warmup_time_s: 0.01}
  register:
    validation_criteria: [{metric: footprint/size_mb, max: 100.0}]
    choose: footprint/size_mb
"""
INGEST = """\
import numpy as np


def load_examples():
    random = np.random.default_rng(0)
    for n in range(60):
        yield {"picture": random.random(SHAPE, dtype="float32"), "kind": n % 2}
"""
FUNCTIONS = """\
def normalise(x):
    return x / 127.5 - 1.0
"""


def recipe(home: Path, case: str, convert: str, shape: tuple[int, ...]) -> RecipeFolder:
    root = home / "recipe"
    shutil.copytree(LEGACY / case, root / "model")
    (root / "steps").mkdir()
    (root / "profiles").mkdir()
    (root / "recipe.yaml").write_text(RECIPE.replace("CONVERT", convert))
    (root / "profiles/local.yaml").write_text("{}\n")
    (root / "steps/ingest.py").write_text(INGEST.replace("SHAPE", str(shape)))
    (root / "steps/convert.py").write_text(FUNCTIONS)
    return RecipeFolder(root=root, home=home)


def test_a_keras_1_file_becomes_a_registered_model(tmp_path: Path) -> None:
    convert = "{source: model/model.h5, original_backend: theano}"
    folder = recipe(tmp_path, "k14_keras122_theano_th_cnn", convert, (3, 16, 12))
    check(folder, {"base/keras", "base/saved_model", "base/onnx", "int8/onnx"})


@pytest.mark.slow
def test_so_does_one_whose_lambda_the_recipe_replaces(tmp_path: Path) -> None:
    convert = "{source: model/model.h5, lambdas: {lambda_1: normalise}}"
    folder = recipe(tmp_path, "k14_keras122_nvidia_lambda", convert, (40, 80, 3))
    check(folder, {"base/saved_model", "base/onnx", "int8/onnx"})  # Keras can't save a function


@pytest.mark.slow
def test_a_checkpoint_of_tensorflow_1_becomes_a_registered_model(tmp_path: Path) -> None:
    convert = "{source: model/slim.ckpt-80}"
    folder = recipe(tmp_path, "k04_tf1_slim_cifarnet", convert, (20, 20, 3))
    check(folder, {"base/saved_model", "base/onnx", "int8/onnx"})


def check(folder: RecipeFolder, variants: set[str]) -> None:
    done = folder.mlflow("run", "--profile", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Registered" in done.stdout
    found = folder.mlflow("get-artifact", "-p", "local", "-a", "benchmark_report")
    rows = json.loads(Path(found.stdout.strip()).read_text())["rows"]
    assert {row["run_name"] for row in rows} == variants
    assert all(row["failure"] is None for row in rows), rows
    again = folder.mlflow("run", "--profile", "local")
    assert again.returncode == 0, again.stdout + again.stderr
