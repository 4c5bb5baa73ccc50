"""What a scenario is told, so that it ends by itself before its worker is stopped."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.scenario_options import (
    ConcurrentOptions,
    OfflineOptions,
    ServerOptions,
)

_BEFORE_THE_END = 0.5  # of the worker's limit: what was begun by then has to end too


def within_limit(
    options: OfflineOptions | ServerOptions | ConcurrentOptions, config: BenchmarkConfig
) -> dict[str, Any]:
    """The options as a command's arguments, within the time that one command may take."""
    limit_s = min(options.time_limit_s, _BEFORE_THE_END * config.time_limit_s)
    return {**dataclasses.asdict(options), "time_limit_s": limit_s}
