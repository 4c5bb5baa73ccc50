"""Kills, Ctrl-C, two at once, and everything that must make a step run again, on a tiny recipe."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from recipe_folder import RecipeFolder, make_tiny

pytestmark = pytest.mark.mlflow


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> RecipeFolder:
    """A tiny recipe that has run once."""
    recipe = make_tiny(tmp_path_factory.mktemp("done"))
    run = recipe.mlflow("run", "-p", "local")
    assert run.returncode == 0, run.stdout + run.stderr
    return recipe


def started(run: subprocess.CompletedProcess[str]) -> list[str]:
    assert run.returncode == 0, run.stdout + run.stderr
    return re.findall(r"^▶ (\w+)", run.stdout, re.MULTILINE)


def accuracy_by_epoch(recipe: RecipeFolder) -> list[float]:
    """What the newest training logged."""
    connection = sqlite3.connect(recipe.root / "metadata" / "mlflow.db")
    rows = connection.execute(
        "select run_uuid, step, value from metrics where key = 'val_loss' order by timestamp"
    ).fetchall()
    connection.close()
    return [value for run, _, value in rows if run == rows[-1][0]]


def start_and_wait_for(recipe: RecipeFolder, text: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        recipe.command("run", "-p", "local"),
        cwd=recipe.root,
        env={**recipe.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = ""
    while text not in seen:
        line = process.stdout.readline()
        assert line, f"it ended without {text!r}: {seen}"
        seen += line
    return process


def no_process_is_left(recipe: RecipeFolder) -> bool:
    mark = f"MLFLOW_RECIPES_EXECUTION_DIRECTORY={recipe.home / 'state'}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                return False
        except OSError:
            continue
    return True


def test_kill_9_in_every_step_and_the_same_command_again_gives_the_undisturbed_result(tiny, done):
    for step in ("ingest", "train", "convert", "compress", "benchmark"):
        process = start_and_wait_for(tiny, f"▶ {step}")
        time.sleep(0.3)
        process.kill()
        process.communicate()
        for _ in range(100):
            if no_process_is_left(tiny):
                break
            time.sleep(0.1)
        assert no_process_is_left(tiny)
    assert started(tiny.mlflow("run", "-p", "local"))
    assert accuracy_by_epoch(tiny) == pytest.approx(accuracy_by_epoch(done), abs=1e-4)
    assert shards(tiny) == shards(done)
    assert started(tiny.mlflow("run", "-p", "local")) == []


def shards(recipe: RecipeFolder) -> dict[str, bytes]:
    folder = recipe.home / "state" / "results" / "ingest"
    return {path.name: path.read_bytes() for path in folder.rglob("*.tfrecord")}


def test_ctrl_c_ends_the_step_too_and_says_where_things_stand(tiny):
    process = start_and_wait_for(tiny, "▶ train")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped at train. Kept: ingest. The same command goes on from here." in output
    assert "Traceback" not in output
    assert no_process_is_left(tiny)
    assert "interrupted" in tiny.mlflow("inspect", "-p", "local").stdout
    assert started(tiny.mlflow("run", "-p", "local"))[0] == "train"


def test_the_second_of_two_runs_says_so_and_stops(tiny):
    first = start_and_wait_for(tiny, "▶ ingest")
    second = tiny.mlflow("run", "-p", "local")
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert "Another run of this recipe is under way" in second.stderr
    assert f"process {first.pid}" in second.stderr


def test_profiles_switched_and_back_do_not_train_again(done):
    assert started(done.mlflow("run", "-p", "longer"))[0] == "train"
    assert started(done.mlflow("run", "-p", "local")) == []
    assert started(done.mlflow("run", "-p", "longer")) == []


def test_nothing_changed_makes_no_run_and_an_imported_module_that_did_trains_again(tiny):
    assert started(tiny.mlflow("run", "-p", "local", "-s", "train")) == ["ingest", "train"]
    assert started(tiny.mlflow("run", "-p", "local", "-s", "train")) == []
    connection = sqlite3.connect(tiny.root / "metadata" / "mlflow.db")
    assert connection.execute("select count(*) from runs").fetchone() == (1,)
    connection.close()
    (tiny.root / "steps" / "units.py").write_text("UNITS = 5\n")
    again = tiny.mlflow("run", "-p", "local", "-s", "train")
    assert started(again) == ["train"]
    assert "changed: steps/units.py" in again.stdout


def test_an_error_in_the_users_code_comes_first(tiny):
    file = tiny.root / "steps" / "train.py"
    file.write_text(file.read_text().replace("    model = keras", "    1 / 0\n    model = keras"))
    run = tiny.mlflow("run", "-p", "local")
    line = file.read_text().splitlines().index("    1 / 0") + 1
    assert run.returncode == 1
    assert run.stderr.splitlines()[0] == "train failed: ZeroDivisionError: division by zero"
    assert f"steps/train.py, line {line}, in model_fn" in run.stderr.splitlines()[1]
    assert len(run.stderr.splitlines()) < 8


def test_the_users_own_metrics_land_in_the_parent_run(tiny):
    file = tiny.root / "steps" / "train.py"
    own = (
        "    import mlflow\n\n    mlflow.log_metric('own', 7)\n    mlflow.log_param('mine', 'x')\n"
    )
    file.write_text(file.read_text().replace("    model = keras", f"{own}    model = keras"))
    assert started(tiny.mlflow("run", "-p", "local", "-s", "train"))
    connection = sqlite3.connect(tiny.root / "metadata" / "mlflow.db")
    runs = connection.execute("select run_uuid from metrics where key in ('own', 'val_loss')")
    assert len(set(runs.fetchall())) == 1
    connection.close()


def test_a_gpu_that_is_not_there_is_told_before_anything_runs(tiny):
    file = tiny.root / "recipe.yaml"
    file.write_text(file.read_text().replace("device: cpu", "device: cuda:7"))
    run = tiny.mlflow("run", "-p", "local")
    assert run.returncode == 1
    assert "cuda:7" in run.stderr.splitlines()[0]
    assert "▶" not in run.stdout


def test_clean_frees_a_step_and_only_that_one_runs_again(done):
    assert "Freed" in done.mlflow("clean", "-p", "local", "-s", "compress").stdout
    assert started(done.mlflow("run", "-p", "local")) == ["compress"]


def test_a_wrong_profile_or_step_is_a_message_and_not_a_traceback(tiny):
    for words, says in (
        (("run", "-p", "locl"), "Did you mean 'local'?"),
        (("run", "-p", "local", "-s", "trian"), "Did you mean 'train'?"),
        (("inspect", "-p", "local", "-s", "train"), "Run it:"),
        (("get-artifact", "-p", "local", "-a", "modle"), "Did you mean 'model'?"),
        (("get-artifact", "-p", "local", "-a", "model"), "has not been made"),
    ):
        run = tiny.mlflow(*words)
        assert run.returncode == 1
        assert says in run.stderr
        assert "Traceback" not in run.stderr
