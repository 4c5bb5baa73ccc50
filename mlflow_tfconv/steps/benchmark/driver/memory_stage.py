"""The stages of memory: what was read while a model was opened, and what its shapes say."""

from __future__ import annotations

from collections.abc import Mapping

from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.memory_findings import estimate_findings, memory_findings
from mlflow_tfconv.steps.benchmark.driver.stage import Request, Stage


def _ask_memory(config: BenchmarkConfig, _reference: Mapping[str, float]) -> Request:
    return Request(command="memory", arguments={"budget_mb": config.memory.budget_mb})


def _ask_estimate(config: BenchmarkConfig, _reference: Mapping[str, float]) -> Request:
    return Request(command="estimate", arguments={"budget_mb": config.memory.budget_mb})


MEMORY = Stage(
    name="memory",
    when="opened",
    applies=lambda _config, _variant, _device: True,
    ask=_ask_memory,
    read=memory_findings,
    depends=lambda config: config.memory.budget_mb,
)
ESTIMATE = Stage(
    name="memory_estimate",
    when="opened",
    applies=lambda config, _variant, _device: config.memory.estimate,
    ask=_ask_estimate,
    read=estimate_findings,
    depends=lambda config: config.memory.budget_mb,
)
