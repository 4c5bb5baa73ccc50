"""The commands offline, server and concurrent on a real session, in this process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlflow_tfconv
from mlflow_tfconv.steps.benchmark.worker import concurrent as streams_at_a_time
from mlflow_tfconv.steps.benchmark.worker import offline as sweep
from mlflow_tfconv.steps.benchmark.worker.commands import obeyed
from mlflow_tfconv.steps.benchmark.worker.job import Job
from mlflow_tfconv.steps.benchmark.worker.latency_bound import default_bound_ms
from mlflow_tfconv.steps.benchmark.worker.offline import best_batch
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_MODULES_AFTER = """
import json, sys
from mlflow_tfconv.steps.benchmark.worker import __main__ as worker
assert worker.main(sys.argv[1:]) == 0
print(*sys.modules)
"""
QUICK: dict[str, Any] = {"min_time_s": 0.02, "min_count": 3}


@pytest.fixture
def opened(tmp_path: Path, make_model: Any) -> Any:
    """An opened tiny model."""

    def make(device: str = "cpu", **model: Any) -> OpenedModel:
        job = Job(
            model=str(make_model(**model)),
            format="onnx",
            folder=str(tmp_path),
            device=device,
            batch_sizes=(1, 4),
        )
        opened = OpenedModel.of(job)
        obeyed(opened, "open", {})
        return opened

    return make


def test_a_sweep_keeps_every_timing_of_every_size(opened: Any, tmp_path: Path) -> None:
    found = obeyed(opened(), "offline", {"batch_sizes": [1, 8], **QUICK})
    assert [row["batch_size"] for row in found["sizes"]] == [1, 8]
    for row in found["sizes"]:
        samples = np.load(tmp_path / row["file"])
        assert samples.dtype == np.int64
        assert len(samples) == row["count"] >= 3
        assert row["samples_per_s"] == pytest.approx(row["batch_size"] * 1e9 / samples.mean())
    assert found["sizes"][1]["gain"] is not None


def test_doubling_ends_at_the_largest_batch_at_the_latest(opened: Any) -> None:
    asked = {"largest_batch": 5, "min_gain": 0.001, **QUICK}
    sizes = [row["batch_size"] for row in obeyed(opened(), "offline", asked)["sizes"]]
    assert sizes == [1, 2, 4][: len(sizes)]


class Clock:
    """Time that passes only in calls: 1 ms up to four samples, and then 0.25 ms a sample."""

    def __init__(self) -> None:
        self.now = 0

    def perf_counter_ns(self) -> int:
        return self.now

    def perf_counter(self) -> float:
        return self.now / 1e9

    def call_for(self, batch: Any) -> Any:
        def call() -> None:
            self.now += 250_000 * max(4, len(batch["x"]))

        return call


def test_doubling_ends_when_it_no_longer_pays(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, clock = opened(), Clock()
    monkeypatch.setattr(sweep, "time", clock)
    monkeypatch.setattr(type(model.runtime), "call_for", lambda _, batch: clock.call_for(batch))
    found = obeyed(model, "offline", {})
    assert [(row["batch_size"], row["gain"]) for row in found["sizes"]] == [
        (1, None),
        (2, pytest.approx(1)),
        (4, pytest.approx(1)),
        (8, pytest.approx(0)),
    ]
    assert found["ended"] == "batch 8 gained less than 5%"
    assert (found["best_batch"], found["sizes"][2]["samples_per_s"]) == (4, 4000)


def test_the_best_batch_is_the_smallest_that_is_nearly_as_good() -> None:
    assert best_batch({1: 10.0, 2: 19.0, 4: 30.0, 8: 31.0}, 0.05) == 4
    assert best_batch({1: 10.0, 2: 9.0}, 0.05) == 1


def test_a_model_of_a_fixed_batch_has_only_that(opened: Any) -> None:
    found = obeyed(opened(batch=2), "offline", QUICK)
    assert [row["batch_size"] for row in found["sizes"]] == [2]


def test_a_size_beyond_the_memory_limit_is_not_tried(opened: Any) -> None:
    asked = {"batch_sizes": [1, 2, 2**40], "memory_limit_mb": 4000, **QUICK}
    found = obeyed(opened(), "offline", asked)
    assert [row["batch_size"] for row in found["sizes"]] == [1, 2]
    assert "offline.memory_limit_mb (4000)" in found["ended"]


def test_a_size_that_would_not_fit_into_the_machine_is_not_tried(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "free_memory_mb", lambda: 1.0)
    found = obeyed(opened(), "offline", {"batch_sizes": [1, 2**20], **QUICK})
    assert [row["batch_size"] for row in found["sizes"]] == [1]
    assert "MB more than batch 1" in found["ended"]


def test_a_size_that_fails_ends_the_sweep_and_keeps_the_others(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened()
    run = type(model.runtime).call_for

    def call_for(self: Any, batch: Any) -> Any:
        if len(batch["x"]) > 2:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 9")
        return run(self, batch)

    monkeypatch.setattr(type(model.runtime), "call_for", call_for)
    found = obeyed(model, "offline", {"batch_sizes": [1, 2, 4], **QUICK})
    assert [row["batch_size"] for row in found["sizes"]] == [1, 2]
    assert found["ended"] == "batch 4 did not fit into the memory"


def test_a_sweep_ends_before_its_time_is_over(opened: Any) -> None:
    found = obeyed(opened(), "offline", {"batch_sizes": [1, 2], "time_limit_s": 0.001, **QUICK})
    assert [row["batch_size"] for row in found["sizes"]] == [1]
    assert "offline.time_limit_s" in found["ended"]


def test_the_highest_rate_comes_with_all_trials(opened: Any, tmp_path: Path) -> None:
    asked = {"latency_bound_ms": 50, "quantile": 0.9, "confidence": 0.9, "precision": 0.5}
    found = obeyed(opened(), "server", {**asked, "min_time_s": 0.05, "time_limit_s": 6})
    assert found["trials"]
    for trial in found["trials"]:
        times = np.load(tmp_path / trial["file"])
        assert times.shape == (trial["answered"], 3)
        assert (times[:, 0] <= times[:, 1]).all()
        assert (times[:, 1] <= times[:, 2]).all()
    rate = found["max_rate_per_s"]
    held = [trial for trial in found["trials"] if trial["held"]]
    assert all(trial["late"] <= trial["allowed_late"] for trial in held)
    assert rate is None or rate in [trial["rate_per_s"] for trial in held]


def test_a_bound_below_a_single_answer_is_kept_by_no_rate(opened: Any) -> None:
    found = obeyed(opened(), "server", {"latency_bound_ms": 1e-5})
    assert found["max_rate_per_s"] is None
    assert "even where none waits in a queue" in found["why"]
    assert found["trials"] == []


def test_a_search_without_time_says_how_much_it_takes(opened: Any) -> None:
    found = obeyed(opened(), "server", {"latency_bound_ms": 5_000, "time_limit_s": 0.01})
    assert found["max_rate_per_s"] is None
    assert "server.time_limit_s (0.01 s)" in found["why"]


def test_the_default_bound_is_five_medians_two_99th_percentiles_or_a_millisecond() -> None:
    assert default_bound_ms(1.0, 1.5) == 5.0
    assert default_bound_ms(1.0, 9.0) == 18.0
    assert default_bound_ms(1.0, None) == 5.0
    assert default_bound_ms(0.01, 0.02) == 1.0


def test_streams_are_timed_on_one_session_and_on_their_own(opened: Any, tmp_path: Path) -> None:
    asked = {"counts": [1, 2], "intra_op_threads": 1, **QUICK}
    found = obeyed(opened(), "concurrent", asked)
    done = [(row["count"], row["sharing"]) for row in found["rows"]]
    assert done == [(n, way) for way in ("one_session", "own_sessions") for n in (1, 2)]
    for row in found["rows"]:
        assert len(row["streams"]) == row["count"]
        assert np.load(tmp_path / row["file"]).shape == (row["calls"], 3)
        assert row["threads"]["threads"]


def test_sessions_that_do_not_fit_are_left_out_and_said_to_be(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_at_a_time, "free_memory_mb", lambda: -1.0)
    found = obeyed(opened(), "concurrent", {"counts": [1, 3], **QUICK})
    assert [row["count"] for row in found["rows"]] == [1, 3]
    assert "x3 own_sessions: not enough memory" in found["left_out"][0]


def test_scenarios_need_numpy_and_onnxruntime_only(make_model: Any, tmp_path: Path) -> None:
    job, commands = tmp_path / "job.json", tmp_path / "commands.jsonl"
    Job(model=str(make_model()), format="onnx", folder=str(tmp_path), batch_sizes=(1,)).write(job)
    said = [
        {"command": "open"},
        {"command": "offline", "batch_sizes": [1, 2], **QUICK},
        {"command": "server", "latency_bound_ms": 1e-5},
        {"command": "concurrent", "counts": [2], **QUICK},
    ]
    commands.write_text("".join(f"{json.dumps(one)}\n" for one in said), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _MODULES_AFTER, str(job), "--commands", str(commands)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(mlflow_tfconv.__file__).parents[1])},
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    heavy = {"tensorflow", "mlflow", "keras", "pandas", "onnx", "pydantic", "pyarrow", "scipy"}
    assert "onnxruntime" in loaded
    assert not loaded & heavy


@pytest.mark.gpu
def test_all_scenarios_run_on_a_gpu(opened: Any) -> None:
    model = opened(device="cuda:0")
    sweep_of = obeyed(model, "offline", {"batch_sizes": [1, 64], **QUICK})
    streams = obeyed(model, "concurrent", {"counts": [2], **QUICK})
    asked = {"latency_bound_ms": 50, "quantile": 0.9, "confidence": 0.9, "time_limit_s": 10}
    assert [row["batch_size"] for row in sweep_of["sizes"]] == [1, 64]
    assert {row["sharing"] for row in streams["rows"]} == {"one_session", "own_sessions"}
    assert obeyed(model, "server", asked)["max_rate_per_s"] > 0


@pytest.mark.slow
def test_all_scenarios_run_on_a_keras_model(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    job = Job(
        model=str(tmp_path / "model.keras"),
        format="keras",
        folder=str(tmp_path),
        batch_sizes=(1, 4),
    )
    opened = OpenedModel.of(job)
    obeyed(opened, "open", {})
    sweep_of = obeyed(opened, "offline", {"batch_sizes": [1, 16], **QUICK})
    streams = obeyed(opened, "concurrent", {"counts": [1, 2], **QUICK})
    asked = {"latency_bound_ms": 500, "quantile": 0.9, "confidence": 0.9, "time_limit_s": 10}
    found = obeyed(opened, "server", asked)
    assert [row["batch_size"] for row in sweep_of["sizes"]] == [1, 16]
    assert [row["count"] for row in streams["rows"]] == [1, 2, 2]
    assert found["trials"]
