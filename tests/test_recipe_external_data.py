"""A recipe whose model is too large for one ONNX file, through all steps, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from recipe_folder import make_tiny

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]

#: The user's code is read in every process that writes ONNX files: there, some bytes are many.
LIMITS = """
import mlflow_tfconv.exporters.save_onnx
import mlflow_tfconv.exporters.write_onnx

mlflow_tfconv.exporters.write_onnx.MOST_FILE_BYTES = 2000
mlflow_tfconv.exporters.save_onnx._LARGEST_SINGLE_FILE = 2000
"""


def test_a_model_with_external_data_is_registered_whole(tmp_path: Path) -> None:
    folder = make_tiny(tmp_path)
    (folder.root / "steps/units.py").write_text(f"{LIMITS}\nUNITS = 2000\n")
    recipe = (folder.root / "recipe.yaml").read_text()
    more = "{name: pruned, prune: {sparsity: 0.5, epochs: 1}}"
    recipe = recipe.replace("variants:\n", f"variants:\n      - {more}\n")
    (folder.root / "recipe.yaml").write_text(recipe)
    done = folder.mlflow("run", "--profile", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Registered" in done.stdout
    found = folder.mlflow("get-artifact", "-p", "local", "-a", "onnx_model").stdout.strip()
    data = Path(found).with_name("model.onnx.data")
    onnx.load(found)
    report = folder.mlflow("get-artifact", "-p", "local", "-a", "benchmark_report").stdout.strip()
    rows = {row["run_name"]: row for row in json.loads(Path(report).read_text())["rows"]}
    size = (data.stat().st_size + Path(found).stat().st_size) / 1e6
    assert rows["base/onnx"]["metrics"]["footprint/size_mb"] == size
    logged = [p for p in folder.home.rglob("*.onnx.data") if "state" not in p.parts]
    assert len(logged) == 3, logged  # base, pruned and int8
    assert {path.stat().st_size > 10_000 for path in (*logged, data)} == {True}
    before = data.read_bytes()
    data.write_bytes(bytes(len(before)))  # what was changed by hand is made again
    again = folder.mlflow("run", "--profile", "local")
    assert again.returncode == 0, again.stdout + again.stderr
    assert data.read_bytes() == before
