"""Doubts about a measurement, their likely reasons, and whether it should be made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlflow_tfconv.steps.benchmark.statistics.blocks import (
    Blocks,
    Samples,
    all_samples,
    pieces,
)
from mlflow_tfconv.steps.benchmark.statistics.bootstrap import quantile_intervals
from mlflow_tfconv.steps.benchmark.statistics.likely_reasons import (
    BUSY,
    Conditions,
    average,
    likely_reasons,
)

_SPREAD = 0.25  # of the median, for the middle half of the timings
_DRIFT = 0.10  # of the median, between the first and the second half of the run
_WANDERING = 0.10  # of the median, for the middle half of the medians of stretches of the run
_UNKNOWN = 0.25  # of the median, from it to the upper end of its interval
_STRETCHES = 10
_FEWEST_OF_A_STRETCH = 5
_WAIT_S = 1.0
_LONGER = 2.0

Signs = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why timings may be unstable.

    Attributes:
        signs: What is odd about them, in words.
        reasons: What is likely to have caused it, in words; empty when nothing was seen.
        severity: How many times the worst sign is beyond what is tolerated; 1 or more.
        passing: Whether a reason is one that may be gone in a moment.
        short: Whether there were too few runs.
    """

    signs: tuple[str, ...]
    reasons: tuple[str, ...]
    severity: float
    passing: bool = False
    short: bool = False

    def __str__(self) -> str:
        """In one sentence without its end."""
        return ", ".join((*self.signs, *self.reasons))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Advice to measure again.

    Attributes:
        batch_sizes: Which.
        wait_s: Seconds to wait first, so that other load or heat may pass.
        longer: How many times as long to measure.
    """

    batch_sizes: tuple[int, ...]
    wait_s: float
    longer: float


def doubt(blocks: Blocks, conditions: Sequence[Conditions], *, processors: int) -> Doubt | None:
    """Why the timings of a batch size may be unstable, or None when they look sound.

    All signs are quartiles and medians: single runs that were interrupted are none.

    Args:
        blocks: The raw timings.
        conditions: What the worker tells of each turn: see `likely_reasons`.
        processors: How many the machine has.
    """
    values = all_samples(blocks)
    if not len(values):
        return None
    found = {**_scatter(values, conditions), **_movement(values), **_width(blocks)}
    unsteady = sum(told.get("steady") is False for told in conditions)
    if unsteady * 2 > len(conditions):
        found["they were still falling after the warm-up"] = 1.0
    if not found:
        return None
    reasons = likely_reasons(conditions, runs=len(values), processors=processors)
    return Doubt(
        signs=tuple(found),
        reasons=tuple(reason.text for reason in reasons),
        severity=max(found.values()),
        passing=any(reason.passing for reason in reasons),
        short=any(reason.short for reason in reasons),
    )


def unstable_note(doubts: Mapping[int, Doubt | None]) -> tuple[str, ...]:
    """One note for all batch sizes that are in doubt; none when all are sound."""
    said = [f"{why} (batch {size})" for size, why in doubts.items() if why]
    return (f"may be unstable, because {'; '.join(said)}",) if said else ()


def retry_advice(doubts: Mapping[int, Doubt | None]) -> Retry | None:
    """What to measure again, and how; None when all is sound."""
    again = {size: why for size, why in doubts.items() if why is not None}
    if not again:
        return None
    return Retry(
        batch_sizes=tuple(again),
        wait_s=_WAIT_S if any(why.passing for why in again.values()) else 0.0,
        longer=_LONGER if any(why.short for why in again.values()) else 1.0,
    )


def soundest(attempts: Sequence[Doubt | None]) -> int:
    """Which attempt gives the least reason for doubt; the first of several that are alike."""
    severities = [0.0 if attempt is None else attempt.severity for attempt in attempts]
    return severities.index(min(severities))


def _scatter(values: Samples, conditions: Sequence[Conditions]) -> Signs:
    """On an idle machine a wide spread around a median that stays is the model's own."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    busy = average(conditions, "busy_others")
    spread = (high - low) / max(middle, 1)
    if spread <= _SPREAD or (busy is not None and busy <= BUSY):
        return {}
    text = f"the middle half of the timings lies between {low / 1e6:.3g} and {high / 1e6:.3g} ms"
    return {text: spread / _SPREAD}


def _movement(values: Samples) -> Signs:
    middle, signs = max(float(np.median(values)), 1.0), {}
    first, second = _medians(values, 2)
    drift = abs(first - second) / middle
    if drift > _DRIFT:
        signs[f"they drifted by {drift:.0%}"] = drift / _DRIFT
    stretches = min(_STRETCHES, max(2, len(values) // _FEWEST_OF_A_STRETCH))
    low, high = np.percentile(_medians(values, stretches), (25, 75))
    wandering = (high - low) / middle
    if wandering > _WANDERING:
        signs[f"their median wandered by {wandering:.0%}"] = wandering / _WANDERING
    return signs


def _width(blocks: Blocks) -> Signs:
    """Turns that disagree leave the median unknown, though each alone may be calm."""
    intervals = quantile_intervals(pieces(blocks), (0.5,))
    if not intervals:
        return {}
    low, high = intervals[0]
    reach = (high / max(low, 1.0)) ** 0.5 - 1
    text = f"their median is known to {reach:.0%} only"
    return {text: reach / _UNKNOWN} if reach > _UNKNOWN else {}


def _medians(values: Samples, stretches: int) -> list[float]:
    """The median of each of as many stretches of the run."""
    return [
        float(np.median(part if len(part) else values))
        for part in np.array_split(values, stretches)
    ]
