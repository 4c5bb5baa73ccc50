"""What may be asked of the scenarios, and what is refused with the option's name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.scenario_options import (
    ConcurrentOptions,
    OfflineOptions,
    ServerOptions,
)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (OfflineOptions, {"batch_sizes": (1, 0)}),
        (OfflineOptions, {"batch_sizes": (4, 2)}),
        (OfflineOptions, {"batch_sizes": (True,)}),
        (OfflineOptions, {"min_gain": 1.0}),
        (OfflineOptions, {"memory_limit_mb": 0.0}),
        (OfflineOptions, {"time_limit_s": float("inf")}),
        (ServerOptions, {"latency_bound_ms": -1.0}),
        (ServerOptions, {"quantile": 1.0}),
        (ServerOptions, {"confidence": float("nan")}),
        (ServerOptions, {"threads": 0}),
        (ServerOptions, {"seed": -1}),
        (ConcurrentOptions, {"counts": ()}),
        (ConcurrentOptions, {"counts": (2, 2)}),
        (ConcurrentOptions, {"sharing": ("one_session", "one_session")}),
        (ConcurrentOptions, {"sharing": ("processes",)}),
        (ConcurrentOptions, {"intra_op_threads": 0}),
    ],
)
def test_what_can_not_be_used_is_refused_by_its_name(options: Any, wrong: dict[str, Any]) -> None:
    scenario = options.__name__.removesuffix("Options").lower()
    with pytest.raises(ConfigError, match=rf"benchmark\.{scenario}\.{next(iter(wrong))} can't"):
        options(**wrong)


def test_a_recipe_sets_them_below_the_benchmark() -> None:
    said = {"scenarios": ["server"], "server": {"latency_bound_ms": 20, "threads": 2}}
    config = TypeAdapter(BenchmarkConfig).validate_json(json.dumps(said), strict=True)
    assert config.server == ServerOptions(latency_bound_ms=20.0, threads=2)
    assert config.concurrent == ConcurrentOptions()
