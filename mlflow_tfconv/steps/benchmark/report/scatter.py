"""Quality against latency, as a drawing of the page: each variant a numbered point."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.columns import columns, number, quality_metric
from mlflow_tfconv.steps.benchmark.report.standing import reference_of

_WIDE = 10.0  # times between the fastest and the slowest, from which on the axis is logarithmic
_EDGE = 0.12  # of the frame, around the points
_NEAR = 4.0  # percent: points that would hide each other
_ASIDE = 1.5  # widths of a point to the right


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One variant.

    Attributes:
        name: The variant.
        text: Both numbers for people.
        left: Place from the left, in percent.
        bottom: Place from below, in percent.
        aside: Widths of a point that it is moved to the right, to be seen.
        is_reference: Whether the others are compared with it.
    """

    name: str
    text: str
    left: float
    bottom: float
    aside: float
    is_reference: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Quality upwards, latency to the right.

    Attributes:
        quality: What stands upwards.
        latency: What stands to the right.
        points: The variants, the fastest first.
        edges: Least and most of the latency, and of the quality, for people.
    """

    quality: str
    latency: str
    points: tuple[Point, ...]
    edges: tuple[str, str, str, str]


def scatter(reports: Reports, primary: str | None = None) -> Scatter | None:
    """The drawing; None when fewer than two variants have both numbers."""
    quality = quality_metric(reports.rows, primary)
    latency = next((c for c in columns(reports.rows) if c.metric.startswith("latency/p50")), None)
    if quality is None or latency is None:
        return None
    found = [
        (row, row.metrics[latency.metric], row.metrics[quality])
        for row in reports.rows
        if row.failure is None
        and math.isfinite(row.metrics.get(quality, math.nan))
        and row.metrics.get(latency.metric, 0.0) > 0
    ]
    if len(found) < 2:
        return None
    found.sort(key=lambda point: point[1])
    slowest, fastest = found[-1][1], found[0][1]
    wide = slowest > _WIDE * fastest
    across = [math.log(x) if wide else x for _, x, _ in found]
    upwards = [y for _, _, y in found]
    scale = " (logarithmic)" if wide else ""
    return Scatter(
        quality=quality.removeprefix("quality/"),
        latency=f"{latency.heading}{scale}",
        points=_points(found, _places(across), _places(upwards), reference_of(reports)),
        edges=(
            *(number(fastest), number(slowest)),
            *(number(min(upwards), 4), number(max(upwards), 4)),
        ),
    )


def _places(values: list[float]) -> list[float]:
    """Percent of the frame; equal values lie in the middle."""
    low, span = min(values), max(values) - min(values)
    shares = [(value - low) / span if span else 0.5 for value in values]
    return [round(100 * (_EDGE + share * (1 - 2 * _EDGE)), 2) for share in shares]


def _points(
    found: list[tuple[VariantReport, float, float]],
    lefts: list[float],
    bottoms: list[float],
    reference: VariantReport | None,
) -> tuple[Point, ...]:
    points: list[Point] = []
    for (row, x, y), left, bottom in zip(found, lefts, bottoms, strict=True):
        hidden = sum(
            abs(left - other.left) < _NEAR and abs(bottom - other.bottom) < _NEAR
            for other in points
        )
        points.append(
            Point(
                name=row.run_name,
                text=f"{number(x)} ms, {number(y, 4)}",
                left=left,
                bottom=bottom,
                aside=hidden * _ASIDE,
                is_reference=reference is not None and row.run_name == reference.run_name,
            )
        )
    return tuple(points)
