"""Searches as a step does them: in real processes, some of which fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).with_name("search_scenario.py")
SHORT = {"epochs": 2, "batch_size": 16}
CASES = {"params.case": ["fine", "good", "raises", "crashes", "hungry"]}
MORE_CASES = {"params.case": ["poor", "fine", "good"]}
SIDE_BY_SIDE = {**SHORT, "trials": {"space": CASES, "parallel": 2, "memory_limit_mb": 1200}}
FITTING = {"epochs": 1, "batch_size": "auto"}
OVER_MORE = {**SHORT, "trials": {"space": MORE_CASES}}


def start(folder: Path, *configs: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCENARIO), str(folder), *map(json.dumps, configs)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def run(folder: Path, *configs: dict[str, Any]) -> list[dict[str, Any]]:
    process = start(folder, *configs)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return [
        json.loads((folder / f"said-{number}.json").read_text())
        for number in range(1, len(configs) + 1)
    ]


def events(said: dict[str, Any], event: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        e
        for e in said["events"]
        if e["event"] == event and all(e[name] == value for name, value in fields.items())
    ]


def rows(said: dict[str, Any]) -> list[dict[str, str]]:
    table = said["card"]["parts"][0]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run(tmp_path_factory.mktemp("search"), SIDE_BY_SIDE, OVER_MORE, FITTING)


def test_trials_that_fail_leave_the_others_alone(told: list[dict[str, Any]]) -> None:
    states = {row["case"]: row["state"] for row in rows(told[0])}
    assert states["fine"] == states["good"] == "done"
    assert "ValueError: a case that raises" in states["raises"]
    assert "SIGSEGV" in states["crashes"]
    assert "more memory than it may" in states["hungry"]


def test_a_trial_over_its_limit_says_the_limit_and_what_it_used(
    told: list[dict[str, Any]],
) -> None:
    (reason,) = events(told[0], "Tag", name="tfconv.trial_reason", run="trial/05")
    assert "at most 1,200 MB" in reason["value"]
    assert "memory_limit_mb` of train.trials" in reason["value"]
    used = {row["case"]: row["host peak MB"] for row in rows(told[0])}
    assert int(used["hungry"].replace(",", "")) > 1200 > int(used["fine"].replace(",", ""))
    assert {row["limit MB"] for row in rows(told[0])} == {"1,200"}


def test_each_trial_has_a_run_with_what_differs(told: list[dict[str, Any]]) -> None:
    runs = events(told[0], "VariantRun")
    assert [(r["run"], r["kind"]) for r in runs] == [(f"trial/0{n}", "trial") for n in range(1, 6)]
    assert [r["params"] for r in runs] == [{"params.case": case} for case in CASES["params.case"]]
    metrics = events(told[0], "Metric", run="trial/01", name="val_loss")
    assert [m["step"] for m in metrics] == [1, 2]
    assert events(told[0], "Metric", run="trial/02", name="footprint/host_peak_mb")
    statuses = {e["run"]: e["status"] for e in events(told[0], "RunEnded")}
    assert list(dict(sorted(statuses.items())).values()) == ["FINISHED"] * 2 + ["FAILED"] * 3


def test_the_best_goes_on(told: list[dict[str, Any]]) -> None:
    best = events(told[0], "Param", run=None, name="trials.best")[0]["value"]
    of_best = events(told[0], "Metric", run=best, name="val_loss")
    of_parent = events(told[0], "Metric", run=None, name="val_loss")
    assert [m["value"] for m in of_parent] == [m["value"] for m in of_best]
    scores = events(told[0], "Metric", name="best/val_loss")
    assert min(scores, key=lambda e: e["value"])["run"] == best
    assert Path(told[0]["path"]).is_file()
    assert told[0]["card"]["title"].startswith("Best of 5 trials is trial 2 (case good). Trained 2")
    logs = events(told[0], "ArtifactFile")[0]["path"]
    assert Path(logs).is_dir()


def test_finished_trials_are_not_trained_again(told: list[dict[str, Any]]) -> None:
    states = {row["case"]: row["state"] for row in rows(told[1])}
    assert states == {"poor": "done", "fine": "done before", "good": "done before"}
    metrics = events(told[1], "Metric", run="trial/02", name="val_loss")
    before = events(told[0], "Metric", run="trial/01", name="val_loss")
    assert [m["value"] for m in metrics] == [m["value"] for m in before]
    assert Path(told[1]["path"]).is_file()


def test_bars_tell_the_whole_and_each_trial(told: list[dict[str, Any]]) -> None:
    whole = events(told[0], "Progress", lane="", label="trials")
    assert (whole[-1]["done"], whole[-1]["total"]) == (5, 5)
    assert "best " in whole[-1]["detail"]
    assert events(told[0], "Progress", lane="trial/01")


def test_a_batch_size_is_found_by_trying(told: list[dict[str, Any]]) -> None:
    # Of 96 examples six tenths are trained on: 64 are too many.
    assert events(told[2], "Param", name="batch_size")[0]["value"] == 32
    text = events(told[2], "Message")[0]["text"]
    assert text.startswith("batch_size: auto found 32; the train split has ")
    peaks = events(told[2], "Metric", name="batch_size_auto/host_peak_mb")
    assert [e["step"] for e in peaks] == [32]
    assert told[2]["card"]["parts"][-1]["columns"][0] == "batch size"


@pytest.mark.slow
def test_when_all_fail_all_reasons_are_told(tmp_path: Path) -> None:
    space = {"params.case": ["raises", "diverges"]}
    (said,) = run(tmp_path, {**SHORT, "trials": {"space": space}})
    assert "None of 2 trials came to its end" in said["error"]
    assert "Trial 1 (case raises)" in said["error"]
    assert "Trial 2 (case diverges)" in said["error"]


@pytest.mark.slow
def test_bad_trials_are_pruned(tmp_path: Path) -> None:
    rates = [0.5, 0.4, 0.3, 0.2, 1e-6, 1e-5]
    prune = {"method": "median", "after_epochs": 2, "after_trials": 3}
    config = {"epochs": 6, "batch_size": 16, "early_stopping": None}
    trials = {"space": {"params.rate": rates}, "prune": prune}
    (said,) = run(tmp_path, {**config, "trials": trials})
    found = {row["rate"]: (row["state"].partition(":")[0], row["epochs"]) for row in rows(said)}
    assert found["1e-06"] == found["1e-05"] == ("pruned", "2")
    assert found["0.5"] == ("done", "6")
    assert events(said, "RunEnded", run="trial/05")[0]["status"] == "KILLED"


@pytest.mark.slow
def test_tpe_searches_and_trials_may_have_their_own_batch_size(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    space = {"params.rate": {"low": 1e-3, "high": 1.0, "log": True}, "batch_size": [16, "auto"]}
    trials = {"space": space, "sampler": "tpe", "count": 4, "parallel": 2}
    (said,) = run(tmp_path, {**SHORT, "trials": trials})
    assert len(rows(said)) == 4
    assert {row["state"] for row in rows(said)} <= {"done", "done before"}


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on(tmp_path: Path) -> None:
    config = {
        "epochs": 40,
        "batch_size": 4,
        "early_stopping": None,
        "trials": {"space": {"params.rate": [0.1, 0.3, 0.5, 0.7]}, "parallel": 2},
    }
    process = start(tmp_path, config)
    records = tmp_path / "work-1" / "trials"
    wait_for(lambda: '"done"' in (records / "0001.json").read_text())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (said,) = run(tmp_path, config)
    states = [row["state"] for row in rows(said)]
    assert "done before" in states
    assert set(states) == {"done before", "done"}
    for number in range(1, 5):
        metrics = events(said, "Metric", run=f"trial/{number:02d}", name="val_loss")
        assert [m["step"] for m in metrics] == list(range(1, 41))


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if is_so():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError("it did not come")


@pytest.mark.gpu
def test_trials_on_a_gpu_keep_to_their_limit(tmp_path: Path) -> None:
    from mlflow_tfconv.device import Device
    from mlflow_tfconv.engine.step import StepContext
    from mlflow_tfconv.steps import TrainConfig, TrainStep
    from mlflow_tfconv.steps.train.trials_config import TrialsConfig

    sys.path.insert(0, str(SCENARIO.parent))
    from search_scenario import ingested

    asked = TrialsConfig(space={"params.rate": [0.1, 0.5]}, parallel=2, memory_limit_mb=2000)
    context = StepContext(recipe_root=tmp_path, device=Device.parse("cuda:0"))
    dataset = ingested(tmp_path)
    (tmp_path / "work").mkdir()
    result = TrainStep(TrainConfig(epochs=2, batch_size=16, trials=asked)).run(
        dataset, tmp_path / "work", context
    )
    table: Any = result.card.parts[0]
    used = [row[table.columns.index("GPU peak MB")] for row in table.rows]
    assert all(0 < float(text.replace(",", "") or 0) <= 2000 for text in used)
