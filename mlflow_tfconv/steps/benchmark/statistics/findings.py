"""Numbers with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found.

    Attributes:
        metrics: Metric name to value.
        intervals: The same names to (low, high), of those whose uncertainty is known: if the
            measurement were repeated as a whole, 95 of 100 such intervals would hold the truth.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def together(*found: Found) -> Found:
    """All of them in one; of names that several have, the last."""
    return Found(
        metrics={name: value for one in found for name, value in one.metrics.items()},
        intervals={name: pair for one in found for name, pair in one.intervals.items()},
    )
