"""How a measured number stands against the reference's: better, worse, or not to be told apart."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.statistics.metric_rules import GREATER_IS_BETTER

Verdict = Literal["better", "worse", "equal"]
_GREATER = (
    r"throughput/samples_per_s.*|server/max_rate.*|concurrent/.*_per_s.*|footprint/largest_batch"
)
_LESS = r"latency/.*|startup/.*|energy/.*|server/p\d+_ms|footprint/.*_mb"
#: A file's size is known exactly. Another process with the same file takes a little more or less:
#: up to 6 % was seen where a few large weights are most of it, since loading frees them in another
#: order.
_EXACT = ("footprint/size_mb", "footprint/compressed_mb", "footprint/weights_mb")
_EXACT_SHARE, _MEMORY_SHARE, _MEMORY_MB = 0.001, 0.06, 1.0
_VERDICTS: Mapping[str, Verdict] = {
    "faster": "better",
    "better": "better",
    "slower": "worse",
    "worse": "worse",
    "equal": "equal",
    "unchanged": "equal",
    "within noise": "equal",
}
#: What the better one is called, and what the worse one.
_WORDS = (
    (r"latency/.*|startup/.*|server/p\d+_ms", ("faster", "slower")),
    (r"footprint/(size|compressed|weights)_mb", ("smaller", "larger")),
    (r"footprint/.*_mb|energy/.*", ("less", "more")),
    (_GREATER, ("more", "less")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A metric of a variant against the reference's.

    Attributes:
        verdict: "equal" where the difference may be chance.
        ratio: How many times the better one is better, 1 or more; None where a ratio says nothing.
        low: Least that the ratio of the variant to the reference may be, or None.
        high: Most that it may be, or None.
    """

    verdict: Verdict
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


def reference_of(reports: Reports) -> VariantReport | None:
    """The one that the others are compared with: the first that was measured, if none is named."""
    measured = [row for row in reports.rows if row.failure is None]
    named = reports.environment.get("reference")
    return next((row for row in measured if row.run_name == named), next(iter(measured), None))


def details_of(reports: Reports, row: VariantReport) -> Mapping[str, Any]:
    """What is known of a variant beside its metrics; empty when nothing is."""
    details = (reports.environment.get("variants") or {}).get(row.run_name)
    return details if isinstance(details, Mapping) else {}


def standing(row: VariantReport, metric: str, reports: Reports) -> Standing | None:
    """How a metric stands; None for the reference itself and for what knows no better or worse."""
    reference = reference_of(reports)
    if reference is None or row.run_name == reference.run_name or row.failure is not None:
        return None
    own, other = row.metrics.get(metric), reference.metrics.get(metric)
    if own is None or other is None or math.isnan(own) or math.isnan(other):
        return None
    told = _told(metric, details_of(reports, row))
    if told is not None:
        return _with_ratio(told, own, other, metric)
    greater = _greater_is_better(metric)
    if greater is None or not _comparable(metric, row, reference):
        return None
    if _overlap(metric, row, reference):
        return _with_ratio(Standing(verdict="equal"), own, other, metric)
    verdict: Verdict = "better" if (own > other) == greater else "worse"
    return _with_ratio(Standing(verdict=verdict), own, other, metric)


def in_words(metric: str, found: Standing) -> str:
    """Such as "1.9 times faster" in short, "equal", "worse"."""
    if found.verdict == "equal":
        return "equal"
    words = next((words for form, words in _WORDS if re.fullmatch(form, metric)), None)
    if found.ratio is None or words is None:
        return found.verdict
    return f"{times(found.ratio)} {words[found.verdict == 'worse']}"


def times(ratio: float) -> str:
    """A ratio for people, in two to three digits."""
    digits = 2 if ratio < 1.5 else 1 if ratio < 10 else 0
    return f"{ratio:,.{digits}f}×"


def _told(metric: str, details: Mapping[str, Any]) -> Standing | None:
    """What paired statistics have found, which see more than two intervals side by side."""
    compared = (details.get("against_reference") or {}).get(metric)
    if compared:
        return Standing(
            verdict=_VERDICTS[compared["verdict"]], low=compared["low"], high=compared["high"]
        )
    drops = (details.get("quality") or {}).get("drops") or {}
    drop = drops.get(metric.removeprefix("quality/").removesuffix("_drop"))
    if metric.startswith("quality/") and drop:
        return Standing(verdict=_VERDICTS[drop["verdict"]])
    return None


def _with_ratio(found: Standing, own: float, other: float, metric: str) -> Standing:
    if metric.startswith("quality/") or own <= 0 or other <= 0:
        return found
    ratio = max(own / other, other / own)
    return Standing(verdict=found.verdict, ratio=ratio, low=found.low, high=found.high)


def _greater_is_better(metric: str) -> bool | None:
    name = metric.removeprefix("quality/")
    if metric != name:
        return False if name.endswith("_drop") else GREATER_IS_BETTER.get(name)
    if re.fullmatch(_GREATER, metric):
        return True
    return False if re.fullmatch(_LESS, metric) else None


def _comparable(metric: str, row: VariantReport, reference: VariantReport) -> bool:
    """Whether the noise is known: from intervals, or since there is little of it."""
    bounded = metric in row.intervals and metric in reference.intervals
    return bounded or metric.startswith("footprint/")


def _overlap(metric: str, row: VariantReport, reference: VariantReport) -> bool:
    if metric in row.intervals and metric in reference.intervals:
        low, high = row.intervals[metric]
        other_low, other_high = reference.intervals[metric]
        return low <= other_high and other_low <= high
    own, other = row.metrics[metric], reference.metrics[metric]
    largest = max(abs(own), abs(other))
    noise = max(_MEMORY_SHARE * largest, _MEMORY_MB)
    return abs(own - other) <= (_EXACT_SHARE * largest if metric in _EXACT else noise)
