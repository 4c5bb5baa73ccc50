"""Memory over time as a drawing that a page can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.steps.benchmark.report.columns import number
from mlflow_tfconv.steps.benchmark.report.stage_tables import stage_details
from mlflow_tfconv.steps.benchmark.report.standing import details_of

WIDTH, HEIGHT = 1000.0, 300.0
_HEADROOM = 1.3  # the label of the highest point has room above the line
_LINES = (("mb", "host"), ("gpu_mb", "GPU"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One kind of memory.

    Attributes:
        label: "host" or "GPU".
        points: Of an SVG polyline in a frame of `WIDTH` x `HEIGHT`.
    """

    label: str
    points: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Memory of one variant over time.

    Attributes:
        name: The variant.
        text: What it shows, in words.
        lines: The kinds of memory.
        marks: Place in percent and label of what happened.
        top: The memory at the upper edge, for people.
        end: The time at the right edge, for people.
    """

    name: str
    text: str
    lines: tuple[Line, ...]
    marks: tuple[tuple[float, str], ...]
    top: str
    end: str


def curves(reports: Reports) -> list[Curve]:
    """One for each variant whose memory was watched."""
    found = []
    for row in reports.rows:
        curve = stage_details(details_of(reports, row), "memory").get("curve")
        if isinstance(curve, Mapping) and len(curve.get("seconds") or ()) > 1:
            found.append(_curve(row.run_name, curve))
    return found


def _curve(name: str, data: Mapping[str, Any]) -> Curve:
    seconds = [float(second) for second in data["seconds"]]
    start, span = seconds[0], (seconds[-1] - seconds[0]) or 1.0
    values = {label: data[key] for key, label in _LINES if data.get(key)}
    top = max((v for line in values.values() for v in line if v is not None), default=1.0)
    edge = top * _HEADROOM or 1.0
    peaks = ", ".join(
        f"{label} peak {number(max(v for v in line if v is not None))} MB"
        for label, line in values.items()
    )
    return Curve(
        name=name,
        text=f"{name}: {peaks} in {number(span)} s",
        lines=tuple(
            Line(label=label, points=_points(seconds, line, (start, span, edge)))
            for label, line in values.items()
        ),
        marks=tuple(
            (round(100 * (float(at) - start) / span, 2), str(label))
            for at, label in data.get("marks") or ()
            if start <= float(at) <= start + span
        ),
        top=f"{number(edge)} MB",
        end=f"{number(span)} s",
    )


def _points(
    seconds: Sequence[float], values: Sequence[Any], frame: tuple[float, float, float]
) -> str:
    start, span, edge = frame
    return " ".join(
        f"{WIDTH * (second - start) / span:.1f},{HEIGHT * (1 - value / edge):.1f}"
        for second, value in zip(seconds, values, strict=False)
        if value is not None and math.isfinite(value)
    )
