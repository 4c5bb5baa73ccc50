"""The largest batch for a memory budget: measured, or else estimated from the shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mlflow_tfconv.steps.benchmark.driver.stage import Findings

METRIC = "footprint/largest_batch"


def with_estimated_batch(found: Findings, stages: Mapping[str, Mapping[str, Any]]) -> Findings:
    """What was found, with the estimate's largest batch where the measurement leaves it open.

    It does so where the timed batches are too small or too much alike to show how the memory grows,
    not where the smallest of them is over the budget already.

    Args:
        found: All findings together.
        stages: Name of a stage to its details.
    """
    measured = stages.get("memory", {}).get("largest_batch") or {}
    size = stages.get("memory_estimate", {}).get("largest_batch")
    if METRIC in found.metrics or not measured.get("fits") or size is None:
        return found
    size = max(size, *measured["from"])  # those were seen to fit
    note = f"has a largest batch of {size:,} by the estimate from its shapes"
    return dataclasses.replace(
        found, metrics={**found.metrics, METRIC: float(size)}, notes=(*found.notes, note)
    )
