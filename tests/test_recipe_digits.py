"""The main job, as a new user runs it."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
from recipe_folder import RecipeFolder

pytestmark = pytest.mark.mlflow
STEPS = ("ingest", "train", "convert", "compress", "benchmark", "register")
VARIANTS = {
    "base/keras",
    "base/saved_model",
    "base/onnx",
    "fp16/onnx",
    "int8/onnx",
    "pruned50/onnx",
    "pruned50-int8/onnx",
}


@pytest.fixture(scope="module")
def run(digits: RecipeFolder) -> subprocess.CompletedProcess[str]:
    done = digits.mlflow("run", "--profile", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def database(run, digits):
    connection = sqlite3.connect(digits.root / "metadata" / "mlflow.db")
    yield connection
    connection.close()


@cache
def report(digits: RecipeFolder) -> dict[str, dict[str, float]]:
    found = digits.mlflow("get-artifact", "-p", "local", "-a", "benchmark_report")
    assert found.returncode == 0, found.stderr
    rows = json.loads(Path(found.stdout.strip()).read_text())["rows"]
    return {row["run_name"]: row["metrics"] for row in rows}


def test_it_ends_with_all_variants_what_was_registered_and_the_way_to_the_ui(run):
    assert all(name in run.stdout for name in VARIANTS)
    assert re.search(r"Registered \S+ as digits version 1, alias champion", run.stdout)
    assert "mlflow ui --backend-store-uri" in run.stdout
    assert "searchFilter=" in run.stdout


def test_the_model_learned_and_the_variants_kept_it(run, digits):
    metrics = report(digits)
    assert set(metrics) == VARIANTS
    assert metrics["base/keras"]["quality/accuracy"] >= 0.97
    assert all(m["quality/accuracy_drop"] <= 0.02 for m in metrics.values())
    assert all(m["quality/agreement"] >= 0.97 for m in metrics.values())


def test_every_variant_was_measured_in_full(run, digits):
    for metrics in report(digits).values():
        for name in ("latency/p50_ms", "latency/p50_ms_b32", "throughput/samples_per_s"):
            assert metrics[name] > 0
        assert metrics["footprint/host_peak_mb"] > metrics["footprint/host_peak_above_baseline_mb"]


def test_int8_is_smaller_and_onnx_needs_less_memory_than_keras(run, digits):
    metrics = report(digits)
    size = {name: m["footprint/size_mb"] for name, m in metrics.items()}
    assert size["int8/onnx"] < 0.4 * size["base/onnx"]
    assert size["fp16/onnx"] < 0.6 * size["base/onnx"]
    peak = {name: m["footprint/host_peak_mb"] for name, m in metrics.items()}
    assert peak["int8/onnx"] < 0.5 * peak["base/keras"]


def test_one_parent_and_a_child_a_variant_are_in_mlflow(database):
    rows = database.execute(
        "select r.name, t.value from runs r left join tags t"
        " on t.run_uuid = r.run_uuid and t.key = 'mlflow.parentRunId'"
    ).fetchall()
    assert {name for name, parent in rows if parent} == VARIANTS
    assert len({parent for _, parent in rows if parent}) == 1
    assert len([name for name, parent in rows if not parent]) == 1


def test_training_was_logged_an_epoch_at_a_time(database):
    steps = database.execute("select step from metrics where key = 'val_accuracy'").fetchall()
    assert len(steps) >= 5
    assert len(steps) == len(set(steps))


def test_pruned_variants_are_half_zeros(database):
    rows = database.execute(
        "select r.name, m.value from latest_metrics m join runs r using (run_uuid)"
        " where m.key = 'sparsity'"
    )
    sparsity = dict(rows.fetchall())
    assert sparsity["pruned50/onnx"] == pytest.approx(0.5, abs=0.01)
    assert sparsity["pruned50-int8/onnx"] >= 0.49


def test_the_champion_predicts_as_an_mlflow_model(run, digits):
    code = """
import sys, numpy as np, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/digits@champion")
out = model.predict({"image": np.zeros((2, 8, 8, 1), "float32")})
print(np.asarray(out["digit"]).shape)
"""
    uri = f"sqlite:///{digits.root}/metadata/mlflow.db"
    assert "(2, 10)" in python(digits, f"import sys; sys.argv = ['', {uri!r}]\n{code}")


def test_running_again_starts_nothing(run, digits):
    started = time.monotonic()
    again = digits.mlflow("run", "--profile", "local")
    assert again.stdout.count("(kept)") == 6
    assert "▶" not in again.stdout
    assert "version 1, alias champion" in again.stdout
    assert time.monotonic() - started < 60


def test_inspect_shows_the_steps_and_their_cards(run, digits):
    assert digits.mlflow("inspect", "-p", "local").stdout.count("done, took") == 6
    code = "\n".join(
        ["from mlflow_tfconv import Recipe", "recipe = Recipe()"]
        + [f"recipe.inspect({step!r})" for step in STEPS]
    )
    shown = python(digits, code)
    for step in STEPS:
        assert f"{step} of digits (local)" in shown
    pages = [Path(page).read_text() for page in re.findall(r"As a page: (.*\.html)", shown)]
    assert len(pages) == 6
    assert sum("data:image/png;base64," in page for page in pages) >= 3


def test_artifacts_have_locations(run, digits):
    names = ("dataset", "model", "saved_model", "onnx_model", "run", "registered_model_version")
    calls = "\n".join(f"print(recipe.artifact_location({name!r}))" for name in names)
    shown = python(digits, f"from mlflow_tfconv import Recipe\nrecipe = Recipe()\n{calls}")
    *paths, parent, version = shown.splitlines()
    assert all(Path(path).exists() for path in paths)
    assert parent.startswith("runs:/")
    assert version == "models:/digits/1"


def python(digits: RecipeFolder, code: str) -> str:
    """What code prints that runs in the recipe's folder."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=digits.root,
        env=digits.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_artifacts_are_objects_to_work_with(run, digits):
    code = """
from mlflow_tfconv import Recipe
recipe = Recipe(profile="local")
images, digits = next(iter(recipe.get_artifact("dataset")))
print(images.shape, digits.dtype.name)
print(recipe.get_artifact("model").predict(images, verbose=0).shape)
frame = recipe.get_artifact("benchmark_report")
print(len(frame), "latency/p50_ms" in frame.columns)
print(len(recipe.get_artifact("variants")), recipe.get_artifact("onnx_model").name)
print(recipe.get_artifact("run").info.status, recipe.get_artifact("registered_model_version").version)
"""
    assert python(digits, code).splitlines() == [
        "(64, 8, 8, 1) int64",
        "(64, 10)",
        "7 True",
        "7 model.onnx",
        "FINISHED 1",
    ]


def test_a_gate_that_none_passes_registers_nothing_and_says_why(run, digits):
    recipe = digits.root / "recipe.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("min: 0.95", "min: 1.5"))
    try:
        refused = digits.mlflow("run", "-p", "local")
    finally:
        recipe.write_text(text)
    assert refused.returncode == 1
    assert "quality/accuracy" in refused.stderr
    assert all(name in refused.stderr for name in VARIANTS)
    assert "Traceback" not in refused.stderr
    last = digits.mlflow("get-artifact", "-p", "local", "-a", "registered_model_version").stdout
    assert last.strip() == "models:/digits/1"
