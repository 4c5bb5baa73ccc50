"""The raw latencies of the scenarios, from the files that the worker left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSamples:
    """The latencies of one part of a scenario.

    Attributes:
        scenario: "offline" | "server" | "concurrent".
        part: Which of its trials, such as "trial 3 at 120.5/s" or "x4 own_sessions"; empty where the
            batch size says it.
        batch_size: Samples a call.
        latency_ns: (calls,) int64.
    """

    scenario: str
    part: str
    batch_size: int
    latency_ns: np.ndarray[Any, np.dtype[np.int64]]


def scenario_samples(stages: Mapping[str, Any], folder: Path) -> Iterator[ScenarioSamples]:
    """All that is there.

    Args:
        stages: Name of a stage to its details.
        folder: Where the files lie that they name.
    """
    for row in stages.get("offline", {}).get("sizes", ()):
        latency = np.load(folder / row["file"])
        yield ScenarioSamples(
            scenario="offline", part="", batch_size=row["batch_size"], latency_ns=latency
        )
    for scenario, parts, first in (("server", _trials, 0), ("concurrent", _streams, 1)):
        found = stages.get(scenario, {})
        for part, file in parts(found):
            times = np.load(folder / file)  # from when it was due, or begun, until it was answered
            yield ScenarioSamples(
                scenario=scenario,
                part=part,
                batch_size=found["batch_size"],
                latency_ns=times[:, 2] - times[:, first],
            )


def _trials(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, trial in enumerate(found.get("trials", ())):
        yield f"trial {number} at {trial['rate_per_s']:.6g}/s", trial["file"]


def _streams(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for row in found.get("rows", ()):
        yield f"x{row['count']} {row['sharing']}", row["file"]
