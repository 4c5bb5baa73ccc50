"""Why what a scenario found may be unstable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow_tfconv.steps.benchmark.driver.surroundings import usable_processors
from mlflow_tfconv.steps.benchmark.statistics.likely_reasons import likely_reasons

_ENOUGH = 100  # timings: how many there are says little of what a scenario sums up


def unstable_notes(what: str, conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """One note when something has disturbed the scenario; none otherwise.

    Args:
        what: What was found, such as "the best batch size".
        conditions: What the worker told of the machine, once for each part of the scenario.
    """
    reasons = likely_reasons(conditions, runs=_ENOUGH, processors=usable_processors() or 1)
    because = ", ".join(reason.text for reason in reasons)
    return [f"{what} may be unstable, because {because}"] if reasons else []
