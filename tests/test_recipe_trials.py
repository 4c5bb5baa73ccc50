"""A recipe with a search, as a user runs it: trials are child runs, and nothing is logged twice."""

from __future__ import annotations

from typing import Any

import pytest
from recipe_folder import RecipeFolder, make_tiny

pytestmark = [pytest.mark.slow, pytest.mark.mlflow]

TRAIN = """\
  train:
    using: custom
    epochs: {{EPOCHS}}
    batch_size: 16
    early_stopping: null
    trials: {space: {batch_size: [16, 32], seed: [1, 2]}, parallel: 2, memory_limit_mb: 2000}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> RecipeFolder:
    folder = make_tiny(tmp_path_factory.mktemp("trials"))
    file = folder.root / "recipe.yaml"
    lines = file.read_text().splitlines(keepends=True)
    kept = [TRAIN if line.startswith("  train:") else line for line in lines]
    file.write_text("".join(kept))
    return folder


def runs_of(folder: RecipeFolder) -> list[Any]:
    from mlflow import MlflowClient

    database = next(folder.root.rglob("mlflow.db"))
    client = MlflowClient(f"sqlite:///{database}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return list(client.search_runs(experiments, max_results=1000))


def test_trials_are_children_and_a_second_run_logs_nothing(recipe: RecipeFolder) -> None:
    first = recipe.mlflow("run", "--profile", "local")
    assert first.returncode == 0, first.stderr + first.stdout
    assert "Best of 4 trials is trial" in first.stdout
    runs = runs_of(recipe)
    trials = [run for run in runs if run.data.tags.get("tfconv.kind") == "trial"]
    assert sorted(run.info.run_name for run in trials) == [f"trial/0{n}" for n in range(1, 5)]
    for run in trials:
        assert set(run.data.params) == {"batch_size", "seed"}
        assert run.info.status == "FINISHED"
        assert run.data.metrics["footprint/host_peak_mb"] < 2000
        assert {"val_loss", "best/val_loss", "loss"} <= set(run.data.metrics)
    variants = [run for run in runs if run.data.tags.get("tfconv.kind") == "variant"]
    assert "base/onnx" in {run.info.run_name for run in variants}
    again = recipe.mlflow("run", "--profile", "local")
    assert again.returncode == 0, again.stderr
    assert "train (kept)" in again.stdout
    assert len(runs_of(recipe)) == len(runs)


def test_a_larger_space_trains_only_what_is_new(recipe: RecipeFolder) -> None:
    file = recipe.root / "recipe.yaml"
    file.write_text(file.read_text().replace("seed: [1, 2]", "seed: [1, 2, 3]"))
    run = recipe.mlflow("run", "--profile", "local", "--step", "train")
    assert run.returncode == 0, run.stderr + run.stdout
    card = recipe.mlflow("inspect", "--step", "train").stdout
    assert card.count("done before") == 4


def test_a_key_that_is_none_is_told_with_its_line(recipe: RecipeFolder) -> None:
    file = recipe.root / "recipe.yaml"
    text = file.read_text()
    file.write_text(text.replace("batch_size: [16, 32]", "batchsize: [16, 32]"))
    run = recipe.mlflow("run", "--profile", "local")
    file.write_text(text)
    assert run.returncode != 0
    assert "Did you mean 'batch_size'" in run.stderr + run.stdout
