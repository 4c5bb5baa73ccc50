"""The picture of quality against latency."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from mlflow_tfconv.artifacts import Reports

_MARKERS = {"onnx": "o", "saved_model": "s", "keras": "^"}
_PLAIN = StrMethodFormatter("{x:g}")  # 0.01 instead of 10 to the power of -2
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
    _draw(points, quality, file)
    fastest, best = points[0], max(points, key=lambda point: point[1])
    return (
        f"{quality} against latency at batch 1. Fastest: {fastest[2]} ({fastest[0]:.3g} ms, "
        f"{fastest[1]:.4g}). Highest {quality}: {best[2]} ({best[0]:.3g} ms, {best[1]:.4g})."
    )


def _draw(points: list[tuple[float, float, str]], quality: str, file: Path) -> None:
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (x, y, name) in enumerate(points):
        axes.plot(x, y, _MARKERS.get(name.rpartition("/")[2], "D"), color=f"C{number % 10}")
        above = number % 2 == 0  # neighbours' names would lie on each other
        axes.annotate(
            name,
            (x, y),
            xytext=(4, 8 if above else -14),
            textcoords="offset points",
            fontsize=9,
            color=f"C{number % 10}",
        )
    if points[-1][0] > _WIDE * points[0][0]:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_PLAIN)
    axes.margins(x=0.15, y=0.2)
    axes.set_xlabel("latency at batch 1, median, ms")
    axes.set_ylabel(quality)
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)
