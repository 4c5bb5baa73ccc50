"""How sure a metric and its drop are: 95 % intervals by the paired bootstrap over the examples.

Percentiles of the redrawn values, taken a little further out for few examples, so that they are as
wide as Student's t would be (the expanded percentile interval: Hesterberg, What teachers should know
about the bootstrap, 2015). Shares of right answers, whose few failures say little of the tails, are
smoothed instead, see `redrawn_outcomes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from mlflow_tfconv.steps.benchmark.statistics.findings import Interval
from mlflow_tfconv.steps.benchmark.statistics.quality import Measured, QualityMetric, as_given
from mlflow_tfconv.steps.benchmark.statistics.redrawing import (
    redrawn_function,
    redrawn_means,
    redrawn_outcomes,
    taken,
)
from mlflow_tfconv.steps.benchmark.statistics.student import t95

Array = np.ndarray[Any, Any]
Outputs = Mapping[str, Array]
Verdict = Literal["unchanged", "within noise", "worse", "better", "unknown"]
_FEWEST_EXAMPLES = 4
_FEWEST_FOR_PERCENTILES = 400  # draws
_PLAIN_TAIL = 0.025
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Redraws:
    """How often, and for how long, examples are drawn anew.

    Attributes:
        draws: 0 gives no intervals.
        seconds: About how long a function of the user's own may be tried, for each variant.
    """

    draws: int = 1000
    seconds: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sureness:
    """How sure a metric of a variant is.

    Attributes:
        own: Interval of the metric, or None when it is not known.
        drop: Interval of its drop against the reference, positive is worse; or None.
        verdict: Of the drop: "unchanged" when every example counts the same for both, "unknown" when
            there is no interval.
    """

    own: Interval | None
    drop: Interval | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two that are compared.

    Attributes:
        outputs: What it gives for the examples.
        measured: Metric name to what was measured.
        drawn: Metric name to its values of redrawn examples, filled when they are first needed.
    """

    outputs: Outputs
    measured: Mapping[str, Measured]
    drawn: dict[str, Array] = field(default_factory=dict)


def sureness(
    metric: QualityMetric, own: Side, reference: Side, labels: Any, redraws: Redraws
) -> Sureness:
    """The intervals of a metric and of its drop.

    Args:
        metric: Which; it has been measured for both.
        own: The variant.
        reference: The reference.
        labels: As the dataset gives them.
        redraws: How often.
    """
    redrawn = _redrawn(metric, own, reference, labels, redraws)
    if identical(own.outputs, reference.outputs):
        return Sureness(own=redrawn.own(), drop=(0.0, 0.0), verdict="unchanged")
    change = redrawn.drop(metric.greater_is_better)
    return Sureness(own=redrawn.own(), drop=change, verdict=_verdict(change, redrawn.same))


def share_interval(outcomes: Array, draws: int) -> Interval:
    """The interval of a share, such as that of examples on which two models agree.

    Args:
        outcomes: (examples,) 0 or 1.
        draws: How often to draw.
    """
    drawn, _ = redrawn_outcomes(outcomes, outcomes, draws)
    whole = float(outcomes.mean())
    return _percentiles(drawn, whole, _PLAIN_TAIL)


def identical(own: Outputs, reference: Outputs) -> bool:
    """Whether both give the same to the bit."""
    return own.keys() == reference.keys() and all(
        own[name] is reference[name] or np.array_equal(own[name], reference[name]) for name in own
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redrawn:
    """Values of redrawn examples.

    Attributes:
        pairs: (draws, 2): own and reference; no draws when nothing is known.
        wholes: The same of all examples as they are.
        count: How many examples there are; 0 when the draws are smoothed.
        same: Whether every example counts the same for both.
    """

    pairs: Array
    wholes: tuple[float, float]
    count: int = 0
    same: bool = False

    def own(self) -> Interval | None:
        return self._interval(self.pairs[:, 0], self.wholes[0])

    def drop(self, greater_is_better: bool) -> Interval | None:
        sign = 1 if greater_is_better else -1
        whole = sign * (self.wholes[1] - self.wholes[0])
        return self._interval(sign * (self.pairs[:, 1] - self.pairs[:, 0]), whole)

    def _interval(self, draws: Array, whole: float) -> Interval | None:
        if len(draws) < 2 or not np.all(np.isfinite(draws)):
            return None
        if len(draws) >= _FEWEST_FOR_PERCENTILES or not self.count:
            return _percentiles(draws, whole, _tail(self.count))
        reach = t95(self.count - 1) * _expansion(self.count) * float(draws.std(ddof=1))
        return whole - reach + 0.0, whole + reach + 0.0


_UNKNOWN = _Redrawn(pairs=np.zeros((0, 2)), wholes=(0.0, 0.0))


def _redrawn(
    metric: QualityMetric, own: Side, reference: Side, labels: Any, redraws: Redraws
) -> _Redrawn:
    if not redraws.draws:
        return _UNKNOWN
    mine, theirs = own.measured[metric.name], reference.measured[metric.name]
    if mine.evidence is None or theirs.evidence is None:
        return _of_function(metric, own, reference, labels, redraws)
    same = np.array_equal(mine.evidence.rows, theirs.evidence.rows)
    wholes = mine.value, theirs.value
    if mine.evidence.outcomes and theirs.evidence.outcomes:
        outcomes = mine.evidence.rows[:, 0], theirs.evidence.rows[:, 0]
        drawn = redrawn_outcomes(*outcomes, redraws.draws)
        return _Redrawn(pairs=np.stack(drawn, axis=1), wholes=wholes, same=same)
    pairs = [_drawn(metric.name, side, redraws.draws) for side in (own, reference)]
    if any(not len(values) for values in pairs):
        return _UNKNOWN
    count = len(mine.evidence.rows)
    return _Redrawn(pairs=np.stack(pairs, axis=1), wholes=wholes, count=count, same=same)


def _drawn(name: str, side: Side, draws: int) -> Array:
    """The metric of redrawn examples, the same ones for every side; empty when nothing is known."""
    if name not in side.drawn:
        evidence = side.measured[name].evidence
        known = evidence is not None and len(evidence.rows) >= _FEWEST_EXAMPLES
        if evidence is None or not known or not np.all(np.isfinite(evidence.rows)):
            side.drawn[name] = np.zeros(0)
        else:
            side.drawn[name] = evidence.value(redrawn_means(evidence.rows, draws))
    return side.drawn[name]


def _of_function(
    metric: QualityMetric, own: Side, reference: Side, labels: Any, redraws: Redraws
) -> _Redrawn:
    count = len(next(iter(own.outputs.values())))
    if count < _FEWEST_EXAMPLES:
        return _UNKNOWN

    def of(outputs: Any, rows: Array) -> float:
        return metric.function(taken(outputs, rows), taken(labels, rows))

    functions = tuple(partial(of, as_given(side.outputs)) for side in (own, reference))
    pairs = redrawn_function(functions, count, draws=redraws.draws, seconds=redraws.seconds)
    wholes = own.measured[metric.name].value, reference.measured[metric.name].value
    return _UNKNOWN if pairs is None else _Redrawn(pairs=pairs, wholes=wholes, count=count)


def _percentiles(draws: Array, whole: float, tail: float) -> Interval:
    low, high = np.quantile(draws, (tail, 1 - tail))
    return min(float(low), whole) + 0.0, max(float(high), whole) + 0.0


def _tail(count: int) -> float:
    """The share of the draws to be left out at each end."""
    return _NORMAL.cdf(-_expansion(count) * t95(count - 1)) if count else _PLAIN_TAIL


def _expansion(count: int) -> float:
    """By how much the spread of redrawn means of few examples is too small."""
    return math.sqrt(count / (count - 1))


def _verdict(drop: Interval | None, same: bool) -> Verdict:
    if same:
        return "unchanged"
    if drop is None:
        return "unknown"
    if drop[0] > 0:
        return "worse"
    return "better" if drop[1] < 0 else "within noise"
