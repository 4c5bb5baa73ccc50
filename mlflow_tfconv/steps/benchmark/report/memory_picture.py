"""The picture of memory over time."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.steps.benchmark.report.stage_tables import stage_details
from mlflow_tfconv.steps.benchmark.report.standing import details_of

_WIDE = 8.0  # times between the highest and the lowest peak, from which on the axis is logarithmic
_HEIGHT, _INCHES_A_NAME = 5.0, 0.25
_PLAIN = StrMethodFormatter("{x:g}")
_NAN = float("nan")


def memory_over_time(reports: Reports, file: Path) -> str | None:
    """Draws the memory of each variant from loading to its last batch.

    Args:
        reports: What was measured.
        file: The PNG to write.

    Returns:
        What it shows, in words; None, and no file, when nobody watched.
    """
    found = {
        row.run_name: curve
        for row in reports.rows
        if (curve := stage_details(details_of(reports, row), "memory").get("curve"))
        and len(curve.get("seconds") or ()) > 1
    }
    if not found:
        return None
    peaks = {name: max(v for v in curve["mb"] if v is not None) for name, curve in found.items()}
    height = max(_HEIGHT, _INCHES_A_NAME * len(found) + 1)
    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, curve) in enumerate(found.items()):
        start, color = curve["seconds"][0], f"C{number % 10}"
        seconds = [second - start for second in curve["seconds"]]
        label = f"{name} ({peaks[name]:,.0f} MB)"
        axes.plot(seconds, _gaps(curve["mb"]), color=color, label=label, linewidth=1.3)
        if curve.get("gpu_mb"):
            gpu = _gaps(curve["gpu_mb"])
            axes.plot(seconds, gpu, "--", color=color, label=f"{name}, GPU", linewidth=1.3)
    if max(peaks.values()) > _WIDE * min(peaks.values()):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_PLAIN)
        axes.yaxis.set_minor_formatter(_PLAIN)
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds from the start of loading, without the timing")
    axes.set_ylabel("memory, MB")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    figure.savefig(file, dpi=110)
    most, least = max(peaks, key=peaks.__getitem__), min(peaks, key=peaks.__getitem__)
    return (
        f"Memory over time. Most: {most} ({peaks[most]:,.0f} MB). "
        f"Least: {least} ({peaks[least]:,.0f} MB)."
    )


def _gaps(values: list[float | None]) -> list[float]:
    return [_NAN if value is None else value for value in values]
