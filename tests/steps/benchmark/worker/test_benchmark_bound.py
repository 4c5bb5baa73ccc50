"""Single stream with bound inputs, in the worker and read by the driver."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.device import Device
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.bound_stage import BOUND, bound_findings
from mlflow_tfconv.steps.benchmark.driver.sequence import STAGES
from mlflow_tfconv.steps.benchmark.worker.commands import COMMANDS
from mlflow_tfconv.steps.benchmark.worker.io_binding import bound

LIMITS = {"min_time_s": 0.001, "min_count": 12, "warmup_time_s": 0.001, "warmup_limit_s": 0.01}
ANY: Any = None


class Opened(SimpleNamespace):
    """What the command looks at."""

    def examples(self, size: int) -> list[dict[str, np.ndarray[Any, Any]]]:
        return [{"x": np.zeros((size, 2), np.float32)}]


def opened(folder: Path, bound_call: Any) -> Any:
    runtime = SimpleNamespace(bound_call_for=lambda batch: bound_call)
    return Opened(runtime=runtime, folder=folder, batch_sizes=[1, 32])


def test_bound_runs_are_timed_and_their_median_is_a_metric(tmp_path: Path) -> None:
    answer = bound(opened(tmp_path, lambda: None), **LIMITS)
    found = bound_findings(answer, tmp_path)
    assert set(found.metrics) == {"latency/p50_ms_bound", "latency/p50_ms_bound_b32"}
    assert "latency/p90_ms_bound" in found.details["percentiles"]
    assert len(np.load(tmp_path / "bound_b1.npy")) >= 12


def test_a_model_that_can_not_be_bound_says_so(tmp_path: Path) -> None:
    found = bound_findings(bound(opened(tmp_path, None), **LIMITS), tmp_path)
    assert found.metrics == {}
    assert "no tensors of numbers" in found.notes[0]


@pytest.mark.parametrize(
    ("asked", "text", "applies"),
    [(None, "cpu", False), (None, "cuda:0", True), (True, "cpu", True), (False, "cuda:0", False)],
)
def test_bound_runs_are_for_gpus_unless_asked_for(
    asked: bool | None, text: str, applies: bool
) -> None:
    config = BenchmarkConfig(io_binding=asked)
    assert BOUND.applies(config, ANY, Device.parse(text)) is applies


def test_a_budget_of_minutes_shortens_it() -> None:
    config = BenchmarkConfig(minutes=0.1, min_time_s=5.0)
    assert BOUND.ask(config, {}).arguments["min_time_s"] == pytest.approx(0.15)


def test_every_stage_asks_for_a_command_that_the_worker_knows() -> None:
    config = BenchmarkConfig()
    assert {stage.ask(config, {}).command for stage in STAGES} <= set(COMMANDS)


def test_a_runtime_that_can_not_bind_gives_no_call(tmp_path: Path) -> None:
    class Plain(Runtime):
        def predict(self, batch: Any) -> Any:
            return batch

    assert Plain().bound_call_for({}) is None
