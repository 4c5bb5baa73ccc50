"""Which device has really computed a model: shares of nodes and of time, and copies between devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow_tfconv.steps.benchmark.driver.stage import Answer, Findings

_MOST_OPERATORS = 5


def placement_findings(told: Answer) -> Findings:
    """What `worker.placement.placement` told, or nothing of it."""
    if not told.get("places"):
        return Findings()
    return Findings(
        metrics={
            "placement/node_share": told["node_share"],
            "placement/time_share": told["time_share"],
            "placement/copies": told["copies"]["nodes"],
        },
        notes=tuple(_notes(told)),
        details=told,
    )


def _notes(told: Mapping[str, Any]) -> list[str]:
    """A model that is partly elsewhere, which a number alone would hide."""
    elsewhere, copies = told["elsewhere"], told["copies"]["nodes"]
    notes = []
    if elsewhere:
        named = [f"{count} {name}" for name, count in elsewhere.items()]
        more = len(named) - _MOST_OPERATORS
        text = ", ".join(named[:_MOST_OPERATORS]) + (f" and {more} more kinds" if more > 0 else "")
        notes.append(
            f"is only partly on {told['device']}: {told['node_share']:.0%} of its nodes and "
            f"{told['time_share']:.0%} of its time are there, not {text}"
        )
    if copies:
        times = "once" if copies == 1 else f"{copies} times"
        notes.append(f"copies values between devices {times} in a run")
    return notes
