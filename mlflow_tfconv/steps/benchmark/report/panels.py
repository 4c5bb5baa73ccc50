"""Numbers of all variants side by side, as dots with their intervals on one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.columns import Column, columns, number
from mlflow_tfconv.steps.benchmark.report.meanings import meaning
from mlflow_tfconv.steps.benchmark.report.standing import in_words, reference_of, standing

_WIDE = 10.0  # times between the smallest and the largest, from which on the scale is logarithmic
_MARGIN = 1.15  # beyond the largest, and below the smallest on a logarithmic scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One variant on the scale of a panel.

    Attributes:
        name: The variant.
        text: The number for people.
        bounds: Its interval for people, or "".
        words: How it stands against the reference, or "".
        verdict: "better" | "worse" | "equal" | "reference" | "alone".
        place: Where on the scale, in percent.
        low: Where its interval begins, in percent.
        span: How much of the scale the interval takes, in percent.
    """

    name: str
    text: str
    bounds: str
    words: str
    verdict: str
    place: float
    low: float
    span: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One metric of all variants that have it.

    Attributes:
        title: The metric for people.
        note: What it means, and whether the scale is logarithmic.
        dots: One a variant.
    """

    title: str
    note: str
    dots: tuple[Dot, ...]


def panels(reports: Reports, primary: str | None = None) -> list[Panel]:
    """One for each number that two or more variants have."""
    found = [_panel(column, reports) for column in columns(reports.rows, primary)]
    return [panel for panel in found if len(panel.dots) > 1]


def bounds_in_words(row: VariantReport, metric: str, digits: int = 3) -> str:
    """The interval for people, or ""."""
    if metric not in row.intervals:
        return ""
    low, high = row.intervals[metric]
    return f"{number(low, digits)} to {number(high, digits)}"


@dataclass(frozen=True, slots=True)
class _Scale:
    start: float
    end: float
    logarithmic: bool

    def percent(self, value: float) -> float:
        if self.logarithmic:
            value = max(value, self.start)
            share = math.log(value / self.start) / math.log(self.end / self.start)
        else:
            share = (value - self.start) / (self.end - self.start)
        return round(100 * min(max(share, 0.0), 1.0), 2)


def _panel(column: Column, reports: Reports) -> Panel:
    rows = [r for r in reports.rows if math.isfinite(r.metrics.get(column.metric, math.nan))]
    rows = [row for row in rows if row.failure is None]
    scale = _scale(rows, column.metric)
    note = meaning(column.metric) + (" Logarithmic scale." if scale.logarithmic else "")
    dots = tuple(_dot(row, column, scale, reports) for row in rows)
    return Panel(title=column.heading, note=note.strip(), dots=dots)


def _scale(rows: Sequence[VariantReport], metric: str) -> _Scale:
    values = [row.metrics[metric] for row in rows]
    ends = [end for row in rows for end in row.intervals.get(metric, ()) if math.isfinite(end)]
    every = [*values, *ends] or [0.0]
    low, high = min(every), max(every)
    if low > 0 and max(values) > _WIDE * min(values):
        return _Scale(low / _MARGIN, high * _MARGIN, logarithmic=True)
    if metric.startswith("quality/") and low >= 0 and high <= 1:
        start = max(0.0, low - 0.5 * (high - low) - 0.02)
        return _Scale(start, min(1.0, high + 0.02) + 1e-9, logarithmic=False)
    start = min(low, 0.0)
    return _Scale(start, start + (high - start) * _MARGIN or 1.0, logarithmic=False)


def _dot(row: VariantReport, column: Column, scale: _Scale, reports: Reports) -> Dot:
    metric, value = column.metric, row.metrics[column.metric]
    found = standing(row, metric, reports)
    reference = reference_of(reports)
    is_reference = reference is not None and reference.run_name == row.run_name
    low, high = map(scale.percent, row.intervals.get(metric, (value, value)))
    return Dot(
        name=row.run_name,
        text=number(value, column.digits),
        bounds=bounds_in_words(row, metric, column.digits),
        words=in_words(metric, found) if found else "reference" if is_reference else "",
        verdict=found.verdict if found else "reference" if is_reference else "alone",
        place=scale.percent(value),
        low=low,
        span=round(high - low, 2),
    )
