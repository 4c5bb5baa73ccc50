"""Models whose cost is known are measured as what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx_of_known_cost import of_activations, of_rounds, of_weights
from onnx_of_many_kinds import crash

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.driver.worker_process import Worker
from mlflow_tfconv.steps.benchmark.worker.job import Job

_LARGE = 60_000_000
Start = Callable[[Path], Worker]


@pytest.fixture
def worker(tmp_path: Path) -> Start:
    def make(model: Path) -> Worker:
        folder = tmp_path / model.stem
        folder.mkdir()
        job = Job(model=str(model), format="onnx", folder=str(folder), batch_sizes=(1,))
        return Worker(job=job, time_limit_s=60)

    return make


def memory_of(worker: Worker) -> dict[str, Any]:
    with worker:
        memory: dict[str, Any] = worker.ask("open")["memory"]
        return memory


def test_activations_are_in_the_peak_and_not_in_what_is_resident_after_load(
    worker: Start, tmp_path: Path
) -> None:
    memory = memory_of(worker(of_activations(tmp_path / "m.onnx", _LARGE)))
    assert _LARGE < memory["host_peak_bytes"] - memory["host_baseline_bytes"] < 1.5 * _LARGE
    assert memory["host_resident_bytes"] - memory["host_baseline_bytes"] < 0.5 * _LARGE


def test_weights_are_resident_after_load(worker: Start, tmp_path: Path) -> None:
    memory = memory_of(worker(of_weights(tmp_path / "m.onnx", _LARGE)))
    assert _LARGE < memory["host_resident_bytes"] - memory["host_baseline_bytes"] < 1.5 * _LARGE


def test_nearly_all_time_of_a_loop_is_told_of_the_loop(worker: Start, tmp_path: Path) -> None:
    with worker(of_rounds(tmp_path / "m.onnx", 20)) as started:
        started.ask("open")
        operators = started.ask("profile")["operators"]
    assert operators[0]["share"] > 0.8


def test_a_crash_is_told_with_the_place_of_the_crash(worker: Start, tmp_path: Path) -> None:
    with (
        worker(crash(tmp_path / "m.onnx")) as started,
        pytest.raises(BenchmarkError, match="SIGFPE") as error,
    ):
        started.ask("open")
    assert "Fatal Python error: Floating point exception" in (error.value.received or "")
    assert "Extension modules" not in (error.value.received or "")
