"""The picture of quality against latency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from mlflow_tfconv.artifacts import Reports

_Bounds = tuple[tuple[float, float] | None, tuple[float, float] | None]
_MARKERS = {"onnx": "o", "saved_model": "s", "keras": "^"}
_PLAIN = StrMethodFormatter("{x:g}")  # 0.01 instead of 10 to the power of -2
_NEAR = 0.02  # of the frame: markers that would hide each other
_ROWS = 16  # names that have room in the smallest frame
_INCHES_A_NAME = 0.28
_WIDE = 10.0  # times between the fastest and the slowest, from which on the axis is logarithmic


def quality_against_latency(reports: Reports, quality: str, file: Path) -> str | None:
    """Draws each variant as a point with its name.

    Args:
        reports: What was measured.
        quality: The metric on the vertical axis, such as "quality/accuracy".
        file: The PNG to write.

    Returns:
        What it shows, in words; None, and no file, when fewer than two variants have both.
    """
    latency = "latency/p50_ms"
    points = [
        (row.metrics[latency], row.metrics[quality], row.run_name)
        for row in reports.rows
        if latency in row.metrics and quality in row.metrics and row.failure is None
    ]
    if len(points) < 2:
        return None
    points.sort()
    bounds = {
        row.run_name: (row.intervals.get(latency), row.intervals.get(quality))
        for row in reports.rows
    }
    _draw(points, quality, file, bounds)
    fastest, best = points[0], max(points, key=lambda point: point[1])
    return (
        f"{quality} against latency at batch 1. Fastest: {fastest[2]} ({fastest[0]:.3g} ms, "
        f"{fastest[1]:.4g}). Highest {quality}: {best[2]} ({best[0]:.3g} ms, {best[1]:.4g})."
    )


def _draw(
    points: list[tuple[float, float, str]], quality: str, file: Path, bounds: Mapping[str, _Bounds]
) -> None:
    figure = Figure(figsize=(9, max(5, _INCHES_A_NAME * len(points) + 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], alpha=0)  # sets the limits
    if points[-1][0] > _WIDE * points[0][0]:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_PLAIN)
    axes.margins(x=0.08, y=0.12)
    axes.set_xlabel("latency at batch 1, median, ms")
    axes.set_ylabel(quality)
    axes.grid(alpha=0.3)
    _span(axes, points, bounds)
    _mark(axes, points)
    _name(axes, points)
    figure.savefig(file, dpi=110)


def _span(
    axes: Axes, points: list[tuple[float, float, str]], bounds: Mapping[str, _Bounds]
) -> None:
    """Where the true values may be, as lines through the points."""
    for number, (x, y, name) in enumerate(points):
        color = f"C{number % 10}"
        latency, quality = bounds[name]
        if latency is not None:
            axes.plot(latency, (y, y), color=color, alpha=0.5, linewidth=1.2)
        if quality is not None:
            axes.plot((x, x), quality, color=color, alpha=0.5, linewidth=1.2)


def _mark(axes: Axes, points: list[tuple[float, float, str]]) -> None:
    """Points at the same place become rings around each other."""
    places = _places(axes, points)
    for number, (x, y, name) in enumerate(points):
        hidden = sum(
            abs(places[number][0] - u) < _NEAR and abs(places[number][1] - v) < _NEAR
            for u, v in places[:number]
        )
        axes.plot(
            x,
            y,
            _MARKERS.get(name.rpartition("/")[2], "D"),
            color=f"C{number % 10}",
            markersize=6 + 5 * hidden,
            fillstyle="none" if hidden else "full",
        )


def _name(axes: Axes, points: list[tuple[float, float, str]]) -> None:
    """The names in a column beside the frame, each with a line to its point."""
    places = _places(axes, points)
    upwards = sorted(range(len(points)), key=lambda number: (places[number][1], -number))
    heights = _apart([places[number][1] for number in upwards], 1 / max(len(points), _ROWS))
    for number, height in zip(upwards, heights, strict=True):
        x, y, name = points[number]
        color = f"C{number % 10}"
        axes.annotate(
            f"{name}  ({x:.3g} ms, {y:.4g})",
            (x, y),
            xytext=(1.04, height),
            textcoords="axes fraction",
            fontsize=9,
            va="center",
            color=color,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0, 0.5),  # from the name's left end
                "color": color,
                "alpha": 0.4,
                "linewidth": 0.8,
            },
        )


def _places(axes: Axes, points: list[tuple[float, float, str]]) -> list[tuple[float, float]]:
    """Where the points are, as fractions of the frame."""
    move = axes.transData + axes.transAxes.inverted()
    return [(float(u), float(v)) for u, v in (move.transform((x, y)) for x, y, _ in points)]


def _apart(heights: list[float], gap: float) -> list[float]:
    """Heights in ascending order, moved as little as it takes to be a gap apart and in the frame."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    ceiling = 0.98
    for number in reversed(range(len(moved))):
        moved[number] = min(moved[number], ceiling)
        ceiling = moved[number] - gap
    return moved
