"""Turns are as long as the config says, and shorter when the minutes are few."""

from __future__ import annotations

import math

import pytest

from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.time_plan import TimePlan


def test_the_turns_together_are_as_long_as_asked_for() -> None:
    config = BenchmarkConfig(min_time_s=2.0, min_count=21, blocks=4)
    limits = TimePlan(config=config, items=6).arguments(0, 1.0)
    assert limits["min_time_s"] == 0.5
    assert limits["min_count"] == 6
    assert limits["limit_s"] == 2.5


def test_slow_models_are_not_timed_for_minutes() -> None:
    plan = TimePlan(config=BenchmarkConfig(max_time_s=3.0, min_time_s=2.0, blocks=4), items=6)
    assert plan.arguments(0, 1.0)["limit_s"] == 0.75
    assert [plan.is_over(spent_s, 1.0) for spent_s in (2.9, 3.1)] == [False, True]
    assert plan.arguments(0, 2.0)["min_time_s"] == 1.0
    assert not plan.is_over(3.9, 2.0)


def test_later_turns_are_warmed_up_briefly() -> None:
    plan = TimePlan(config=BenchmarkConfig(), items=2)
    first, later = (plan.arguments(number, 1.0) for number in (0, 1))
    assert first["warmup_time_s"] == 0.1
    assert later["warmup_time_s"] == 0.0
    assert later["warmup_limit_s"] < first["warmup_limit_s"]


def test_few_minutes_make_short_turns_with_an_end() -> None:
    config = BenchmarkConfig(min_time_s=10.0, minutes=0.1, blocks=3)
    limits = TimePlan(config=config, items=4).arguments(0, 2.0)
    assert 4 * 3 * limits["limit_s"] <= 0.1 * 60
    assert limits["min_time_s"] == pytest.approx(limits["limit_s"])


def test_the_minutes_are_shared_by_the_scenarios() -> None:
    config = BenchmarkConfig(minutes=1.0, scenarios=("single_stream", "server"))
    plan = TimePlan(config=config, items=4)
    assert plan.left_s() == 30.0
    assert plan.for_scenarios(3).server.time_limit_s == 10.0
    assert TimePlan(config=BenchmarkConfig(), items=4).left_s() == math.inf
