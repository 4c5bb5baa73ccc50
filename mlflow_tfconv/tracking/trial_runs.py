"""Runs of a search's trials: how they are told from those of variants, and what sorts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Sorts the trials of a search that did not come to its end.
UNKNOWN_SEARCH: Mapping[str, Any] = {"metric": "loss", "ascending": True}
_NAMES_BEGIN = "trial/"


def is_trial(run_name: str) -> bool:
    """Whether a child run of this name is a trial."""
    return run_name.startswith(_NAMES_BEGIN)


def search_of(params: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The metric that told the best trial, and whether the smallest was the best.

    Args:
        params: Of the parent run.
    """
    metric = params.get("trials.metric")
    if metric is None:
        return None
    return {"metric": f"best/{metric}", "ascending": params.get("trials.direction") != "max"}
