"""Judges the variants' outputs: quality, what it lost against the reference, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.statistics.classes import name_classes
from mlflow_tfconv.steps.benchmark.statistics.findings import Interval
from mlflow_tfconv.steps.benchmark.statistics.per_class import per_class
from mlflow_tfconv.steps.benchmark.statistics.quality import (
    Measured,
    QualityMetric,
    agreeing,
    default_metrics,
    drop,
    measured,
)
from mlflow_tfconv.steps.benchmark.statistics.quality_intervals import (
    Redraws,
    Side,
    Sureness,
    share_interval,
    sureness,
)

Array = np.ndarray[Any, Any]
Outputs = Mapping[str, Array]
_METHOD = "paired bootstrap over the examples, 95 %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known of a variant's quality.

    Attributes:
        metrics: `quality/<metric>`, `quality/<metric>_drop`, `quality/agreement`.
        intervals: The same names to (low, high), where they are known.
        notes: What a reader should know, each to follow the variant's name.
        details: Plain values: examples, method, and by metric or class what was found.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Judge:
    """Judges outputs by the labels and by the reference: the first outputs it is shown.

    Attributes:
        labels: The labels of the examples, or None.
        metrics: What to compute; empty chooses by the labels.
        class_names: What the class numbers mean, or None.
        redraws: How often examples are drawn anew for the intervals.
        reference: Run name of the reference, once it is known.
    """

    labels: Any
    metrics: Sequence[QualityMetric]
    class_names: Sequence[str] | None = None
    redraws: Redraws = field(default_factory=Redraws)
    reference: str | None = None
    _reference: Side = field(default_factory=lambda: Side(outputs={}, measured={}))

    def judged(self, run_name: str, outputs: Outputs) -> Judgement:
        """What is known of a variant's quality; nothing without examples.

        Raises:
            BenchmarkError: A metric does not fit the outputs or the labels, or fails.
        """
        if not outputs:
            return Judgement()
        side = Side(outputs=outputs, measured=self._measured(outputs))
        if self.reference is None:
            self.reference, self._reference = run_name, side
        quality = {f"quality/{name}": one.value for name, one in side.measured.items()}
        sure = {metric.name: self._sureness(metric, side) for metric in self._shared(side)}
        lost = {f"quality/{m.name}_drop": self._drop(m, side) for m in self._shared(side)}
        agreed = self._agreement(outputs)
        return Judgement(
            metrics=_numbers({**quality, **lost, **agreed.metrics}),
            intervals={**_intervals(sure), **agreed.intervals},
            notes=(
                *_notes(sure, lost, _count(outputs)),
                *_no_numbers(quality),
                *self._nothing_fits(outputs),
            ),
            details={
                "examples": _count(outputs),
                "method": _METHOD,
                "drops": _drop_details(sure, lost),
                "outputs": self._differences(outputs),
                "per_class": self._per_class(outputs),
            },
        )

    def _measured(self, outputs: Outputs) -> dict[str, Measured]:
        if self.labels is None or not len(self.labels):
            return {}
        self.metrics = self.metrics or default_metrics(outputs, self.labels)
        return {metric.name: measured(metric, outputs, self.labels) for metric in self.metrics}

    def _nothing_fits(self, outputs: Outputs) -> list[str]:
        """Labels that are there and judge nothing are told."""
        if self.metrics or self.labels is None or not len(self.labels):
            return []
        given, expected = _in_words(outputs), _in_words(self.labels)
        return [
            f"has no quality: without `metrics` labels are classes or numbers like the output's; "
            f"outputs {given}; labels {expected}"
        ]

    def _shared(self, side: Side) -> list[QualityMetric]:
        """The metrics for which the outputs can be held against the reference's."""
        if side.outputs.keys() != self._reference.outputs.keys():
            return []
        return [metric for metric in self.metrics if metric.name in self._reference.measured]

    def _sureness(self, metric: QualityMetric, side: Side) -> Sureness:
        return sureness(metric, side, self._reference, self.labels, self.redraws)

    def _drop(self, metric: QualityMetric, side: Side) -> float:
        values = (s.measured[metric.name].value for s in (side, self._reference))
        return drop(*values, greater_is_better=metric.greater_is_better)

    def _agreement(self, outputs: Outputs) -> Judgement:
        if not self._compares_classes():
            return Judgement()
        same = agreeing(outputs, self._reference.outputs, one_score=self._names_classes(outputs))
        if same is None:
            return Judgement()
        name, draws = "quality/agreement", self.redraws.draws
        return Judgement(
            metrics={name: float(same.mean())},
            intervals={name: share_interval(same, draws)} if draws else {},
        )

    def _per_class(self, outputs: Outputs) -> dict[str, Any]:
        if not self._names_classes(outputs):
            return {}
        own, reference = (
            next(iter(given.values())) for given in (outputs, self._reference.outputs)
        )
        if own.shape != reference.shape:
            return {}
        return per_class(own, reference, self.labels, self.class_names)

    def _names_classes(self, outputs: Outputs) -> bool:
        if len(outputs) != 1 or not isinstance(self.labels, np.ndarray):
            return False
        return name_classes(next(iter(outputs.values())), self.labels)

    def _compares_classes(self) -> bool:
        """Labels that are fractions mean that the outputs are no scores of classes."""
        labels = self.labels
        if not isinstance(labels, np.ndarray) or labels.dtype.kind in "iub":
            return True
        return labels.ndim == 2 and bool(np.all((labels == 0) | (labels == 1)))

    def _differences(self, outputs: Outputs) -> dict[str, dict[str, float]]:
        """How far each output lies from the reference's, of numbers of the same shape."""
        return {
            name: _difference(value, self._reference.outputs[name])
            for name, value in outputs.items()
            if name in self._reference.outputs and _comparable(value, self._reference.outputs[name])
        }


def _in_words(arrays: Any) -> str:
    """Such as "y (400, 3) float32"."""
    named = arrays if isinstance(arrays, Mapping) else {"": arrays}
    return ", ".join(
        f"{name} {np.shape(array)} {np.asarray(array).dtype}".strip()
        for name, array in named.items()
    )


def _numbers(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def _no_numbers(quality: Mapping[str, float]) -> list[str]:
    return [
        f"has no {name}: it came out as NaN" for name, value in quality.items() if math.isnan(value)
    ]


def _comparable(own: Array, reference: Array) -> bool:
    kinds = own.dtype.kind, reference.dtype.kind
    return own.shape == reference.shape and own.size > 0 and all(kind in "biuf" for kind in kinds)


def _difference(own: Array, reference: Array) -> dict[str, float]:
    """Largest and mean absolute difference, of the places where it is a number."""
    kind = np.float32 if own.dtype == reference.dtype == np.float32 else np.float64
    with np.errstate(invalid="ignore", over="ignore"):  # infinite in both: no difference
        apart = np.subtract(own, reference, dtype=kind)
    np.abs(apart, out=apart)
    finite = np.isfinite(apart)
    if not finite.all():
        apart = apart[finite]
    if not apart.size:
        return {}
    return {"max_abs": float(apart.max()), "mean_abs": float(apart.mean(dtype=np.float64))}


def _intervals(sure: Mapping[str, Sureness]) -> dict[str, Interval]:
    own = {f"quality/{name}": one.own for name, one in sure.items()}
    lost = {f"quality/{name}_drop": one.drop for name, one in sure.items()}
    return {name: pair for name, pair in {**own, **lost}.items() if pair is not None}


def _notes(sure: Mapping[str, Sureness], lost: Mapping[str, float], count: int) -> tuple[str, ...]:
    """A loss that other examples might not show is called that."""
    notes = []
    for name, one in sure.items():
        drop = lost[f"quality/{name}_drop"]
        if one.verdict == "within noise" and drop > 0 and one.drop is not None:
            low, high = one.drop
            notes.append(
                f"is worse in {name} by {drop:.3g}, which is within noise "
                f"(95 %: {low:.3g} to {high:.3g}, {count:,} examples)"
            )
    return tuple(notes)


def _drop_details(
    sure: Mapping[str, Sureness], lost: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "drop": lost[f"quality/{name}_drop"],
            "low": None if one.drop is None else one.drop[0],
            "high": None if one.drop is None else one.drop[1],
            "verdict": one.verdict,
        }
        for name, one in sure.items()
        if one.verdict != "unknown" and math.isfinite(lost[f"quality/{name}_drop"])
    }


def _count(outputs: Outputs) -> int:
    return len(next(iter(outputs.values())))
