"""Which metrics the gate may ask for: those that the benchmark can give."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_tfconv.config.metric_names import check_gate
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.memory_options import MemoryOptions
from mlflow_tfconv.steps.benchmark.scenario_options import ConcurrentOptions, OfflineOptions
from mlflow_tfconv.steps.register.config import RegisterConfig

SCENARIOS = BenchmarkConfig(
    scenarios=("single_stream", "offline", "server", "concurrent"),
    offline=OfflineOptions(batch_sizes=(3, 9)),
    concurrent=ConcurrentOptions(counts=(1, 6)),
)


def check(name: str, benchmark: BenchmarkConfig) -> None:
    steps: Any = [
        SimpleNamespace(name="benchmark", config=benchmark),
        SimpleNamespace(name="register", config=RegisterConfig(choose=name)),
    ]
    check_gate(SimpleNamespace(metrics=()), steps, lambda at: str(at))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["server/max_rate_per_s", "throughput/samples_per_s_b9", "concurrent/samples_per_s_x6"],
)
def test_what_a_scenario_measures_can_be_chosen_by_where_it_is_asked_for(name: str) -> None:
    check(name, SCENARIOS)
    with pytest.raises(ConfigError, match="never measured"):
        check(name, BenchmarkConfig())


def test_what_is_not_asked_for_is_told_with_how_to_ask_for_it() -> None:
    check("footprint/largest_batch", BenchmarkConfig(memory=MemoryOptions(budget_mb=100)))
    with pytest.raises(ConfigError) as caught:
        check("footprint/largest_batch", BenchmarkConfig())
    assert caught.value.fix == "Measure it: `benchmark.memory: {budget_mb: 4000}`."


@pytest.mark.parametrize(
    ("name", "benchmark"),
    [
        ("latency/p50_ms", BenchmarkConfig(scenarios=("offline",))),
        ("placement/copies", BenchmarkConfig(profile=False)),
        ("footprint/estimated_peak_mb", BenchmarkConfig(memory=MemoryOptions(estimate=False))),
    ],
)
def test_what_is_switched_off_is_not_waited_for(name: str, benchmark: BenchmarkConfig) -> None:
    with pytest.raises(ConfigError, match="never measured"):
        check(name, benchmark)


@pytest.mark.parametrize(
    "name", ["startup/load_ms", "latency/p50_ms_bound", "energy/j_per_1000", "placement/copies"]
)
def test_what_is_measured_without_being_asked_for_can_be_chosen_by(name: str) -> None:
    check(name, BenchmarkConfig())
