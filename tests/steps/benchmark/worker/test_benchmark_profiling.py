"""Profiles of real models: what takes the time is found, and files are left for people and for layers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from profiled_graphs import ROUNDS, loop_model, saved, two_branches
from trace_format import strictly_checked

from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.benchmark.layers.profiled_model import profiled_model
from mlflow_tfconv.steps.benchmark.worker import onnx_profile as of_onnx
from mlflow_tfconv.steps.benchmark.worker import profile_plan as profile_plan_file
from mlflow_tfconv.steps.benchmark.worker.job import Job
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel
from mlflow_tfconv.steps.benchmark.worker.profile_files import Profile, written_profile
from mlflow_tfconv.steps.benchmark.worker.profile_plan import profile_plan
from mlflow_tfconv.steps.benchmark.worker.profiling import profile

Opened = Callable[..., OpenedModel]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """A model as the worker holds it open."""

    def make(model: Path, kind: str = "onnx", **session_options: Any) -> OpenedModel:
        folder = tmp_path / "work"
        folder.mkdir()
        job = Job(
            model=str(model), format=kind, folder=str(folder), session_options=session_options
        )
        made = OpenedModel.of(job)
        made.session_options = session_options
        made.runtime = open_runtime(model, kind, session_options=session_options or None)
        made.batch_sizes = [1, 4]
        return made

    return make


def test_the_operator_that_takes_the_time_comes_first(tmp_path: Path, opened: Opened) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="dense"),
        helper.make_node("Relu", ["h"], ["y"], name="relu"),
    ]
    weights = {"w": np.ones((2048, 2048), np.float32)}
    found = profile(opened(saved(nodes, tmp_path / "m.onnx", weights=weights, size=2048)))
    assert found["operators"][0]["operator"] == "MatMul"
    assert found["operators"][0]["share"] > 0.5
    assert found["nodes"][0]["node"] == "dense"
    shares = sum(row["share"] for row in found["operators"]) + found["outside_share"]
    assert shares == pytest.approx(1)
    assert found["initialization_ms"] > 0


def test_the_files_of_a_profile(tmp_path: Path, opened: Opened) -> None:
    model = opened(loop_model(tmp_path / "m.onnx"))
    files = profile(model)["files"]
    assert {file.name for file in model.folder.iterdir()} == set(files.values())
    events = strictly_checked(json.loads((model.folder / files["trace"]).read_text()))
    assert {"run", "loop", "body/matmul"} <= {event["name"] for event in events}


def test_a_loop_and_its_body_are_told_apart(tmp_path: Path, opened: Opened) -> None:
    rows = {row["node"]: row for row in profile(opened(loop_model(tmp_path / "m.onnx")))["nodes"]}
    assert rows["body/matmul"]["inside"] == "loop"
    assert rows["body/matmul"]["calls"] == ROUNDS
    assert "inside" not in rows["sigmoid"]


def test_the_model_runs_with_its_own_session_options(tmp_path: Path, opened: Opened) -> None:
    options = {"execution_mode": "ORT_PARALLEL", "graph_optimization_level": "ORT_DISABLE_ALL"}
    found = profile(opened(two_branches(tmp_path / "m.onnx"), **options), batch_size=4)
    assert {row["node"] for row in found["nodes"]} == {"left", "right", "both"}
    assert found["batch_size"] == 4


def test_what_layers_need_can_be_read_back(tmp_path: Path, opened: Opened) -> None:
    model = opened(two_branches(tmp_path / "m.onnx"))
    profile(model)
    found = profiled_model(model.folder)
    assert found is not None
    assert found.file is not None
    assert [node.name for node in found.file.nodes] == ["left", "right", "both"]
    assert found.times_us.shape[0] == len(found.ran)
    assert all(node.outputs for node in found.ran)


def test_a_graph_that_cannot_be_written_out_is_profiled_without_it(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_onnx, "_MOST_BYTES", 0)
    model = opened(two_branches(tmp_path / "m.onnx"))
    profile(model)
    found = profiled_model(model.folder)
    assert found is not None
    assert not any(node.outputs for node in found.ran)


def test_no_profile_is_told_of_a_recording_without_runs(tmp_path: Path) -> None:
    recording = of_onnx.Recording(runs=())
    empty = Profile(name="m", runtime="r", batch_size=1, recording=recording, plain_ms=[1.0])
    with pytest.raises(ValueError, match="no complete run"):
        written_profile(empty, tmp_path)
    assert profiled_model(tmp_path) is None


def test_quick_models_are_run_often_and_slow_ones_a_few_times() -> None:
    limits = {"seconds": 0.2, "most_runs": 50}
    assert profile_plan(0.1, **limits).runs == 50
    assert profile_plan(20, **limits).runs == 10
    slow = profile_plan(5000, **limits)
    assert (slow.warmup, slow.runs) == (1, 3)
    assert profile_plan(0.1, **limits, nodes=10_000).runs == 4


def test_loops_with_many_calls_are_recorded_a_few_times_or_once() -> None:
    plan = profile_plan(1, seconds=0.2, most_runs=50)
    assert plan.runs_after(1.5, 1) == 50  # a slower moment
    assert plan.runs_after(0.4, 0.1) == 50  # small operators, but few of them
    assert plan.runs_after(50, 1) == 4
    assert plan.runs_after(5000, 250) == 0


def test_a_long_loop_is_told_from_one_run(tmp_path: Path, opened: Opened, monkeypatch: Any) -> None:
    monkeypatch.setattr(profile_plan_file, "MOST_CALLS", 1)
    found = profile(opened(loop_model(tmp_path / "m.onnx")))
    assert found["runs"] == 1
    assert found["call_count"] == 2 + 2 * ROUNDS


def test_launches_on_a_gpu_are_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = dataclasses.replace(of_onnx.Device(), kind="cuda", indices=(0,))
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING", raising=False)
    launched, blocking = of_onnx.Recording(runs=()), "1"
    assert "launching" in of_onnx._notes(cuda, launched)[0]
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", blocking)
    assert of_onnx._notes(cuda, launched) == ()
    assert of_onnx._notes(of_onnx.Device(), launched) == ()
