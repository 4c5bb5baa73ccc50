"""The benchmark's config refuses what can't be measured."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_sizes": ()},
        {"batch_sizes": (0,)},
        {"batch_sizes": (8, 8)},
        {"examples": 0},
        {"min_count": 0},
        {"min_time_s": -1.0},
        {"time_limit_s": 0.0},
        {"batch_sizes": (True,)},
        {"scenarios": ()},
        {"scenarios": ("marathon",)},
        {"scenarios": ("server", "server")},
        {"blocks": 0},
        {"retries": -1},
        {"minutes": 0.0},
    ],
)
def test_a_value_that_cannot_be_used_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"benchmark.{next(iter(wrong))}"):
        BenchmarkConfig(**wrong)
