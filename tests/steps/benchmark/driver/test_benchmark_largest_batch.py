"""The largest batch for a budget, where measurement and estimate know different things."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.steps.benchmark.driver.largest_batch import METRIC, with_estimated_batch
from mlflow_tfconv.steps.benchmark.driver.stage import Findings


def stages(estimated: int | None = 700, **measured: Any) -> dict[str, dict[str, Any]]:
    return {
        "memory": {"largest_batch": {"from": [1, 8], **measured}},
        "memory_estimate": {"largest_batch": estimated},
    }


def test_the_estimate_tells_it_where_small_batches_show_no_growth() -> None:
    found = with_estimated_batch(Findings(), stages(fits=True))
    assert found.metrics == {METRIC: 700.0}
    assert found.notes == ("has a largest batch of 700 by the estimate from its shapes",)


def test_what_was_seen_to_fit_counts_more_than_the_estimate() -> None:
    assert with_estimated_batch(Findings(), stages(3, fits=True)).metrics == {METRIC: 8.0}


@pytest.mark.parametrize(
    "told", [stages(), stages(fits=False), stages(None, fits=True), {}], ids=str
)
def test_without_both_nothing_is_told(told: dict[str, Any]) -> None:
    assert with_estimated_batch(Findings(), told).metrics == {}


def test_what_was_measured_stays() -> None:
    measured = Findings(metrics={METRIC: 85.0})
    assert with_estimated_batch(measured, stages(fits=True)) is measured
