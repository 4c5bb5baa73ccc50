"""The columns of the tables for people: which numbers, in which order, and what goes first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mlflow_tfconv.artifacts import VariantReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One metric in a table.

    Attributes:
        title: What it is.
        unit: Of what, or "".
        metric: Its name.
        rank: Where room is scarce, columns of a higher rank go first.
        digits: Significant digits.
    """

    title: str
    unit: str
    metric: str
    rank: int
    digits: int = 3

    @property
    def heading(self) -> str:
        """Title and unit in one line."""
        return f"{self.title} {self.unit}".strip()


_PLACED, _WHOLE = "placement/time_share", 0.9995
_MEASURED = (
    Column(title="bound", unit="p50 ms", metric="latency/p50_ms_bound", rank=5),
    Column(title="samples/s", unit="", metric="throughput/samples_per_s", rank=2),
    Column(title="server", unit="queries/s", metric="server/max_rate_per_s", rank=2),
    Column(title="load", unit="ms", metric="startup/load_ms", rank=8),
    Column(title="size", unit="MB", metric="footprint/size_mb", rank=1),
    Column(title="peak", unit="MB", metric="footprint/host_peak_mb", rank=2),
    Column(title="above empty", unit="MB", metric="footprint/host_peak_above_baseline_mb", rank=6),
    Column(title="GPU", unit="MB", metric="footprint/gpu_peak_mb", rank=2),
    Column(title="largest batch", unit="", metric="footprint/largest_batch", rank=4),
    Column(title="on device", unit="share", metric=_PLACED, rank=5),
    Column(title="energy", unit="J/1,000", metric="energy/j_per_1000", rank=5),
)
_LATENCY = re.compile(r"latency/p(50|99)_ms(?:_b(\d+))?")


def quality_metric(rows: Iterable[VariantReport], primary: str | None) -> str | None:
    """The quality that matters most: the one that is asked for, else the first there is."""
    names = dict.fromkeys(name for row in rows for name in row.metrics)
    own = [
        name
        for name in names
        if name.startswith("quality/")
        and name != "quality/agreement"
        and not name.endswith("_drop")
    ]
    wanted = f"quality/{primary}"
    return wanted if wanted in own else next(iter(own), None)


def columns(rows: Iterable[VariantReport], primary: str | None = None) -> list[Column]:
    """The columns of what was measured, in reading order."""
    rows = list(rows)
    found = {name for row in rows for name in row.metrics}
    quality = quality_metric(rows, primary)
    first = [
        *([] if quality is None else [_quality(quality)]),
        Column(title="agreement", unit="", metric="quality/agreement", rank=5, digits=4),
    ]
    whole = [row.metrics.get(_PLACED, 1.0) > _WHOLE for row in rows]
    hidden = {_PLACED} if all(whole) else set()  # where all is on the device, that says nothing
    return [c for c in (*first, *_latencies(found), *_MEASURED) if c.metric in found - hidden]


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: 0.0123, 1.23, 12.3, 1,234; "" for none."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.{digits}g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{decimals}f}"


def _quality(metric: str) -> Column:
    return Column(title=metric.removeprefix("quality/"), unit="", metric=metric, rank=0, digits=4)


def _latencies(found: Iterable[str]) -> list[Column]:
    """The medians, smallest batch first, then the 99th percentile of the smallest."""
    matches = [match for match in map(_LATENCY.fullmatch, found) if match]
    by_size = sorted(matches, key=lambda match: (match[1], int(match[2] or 1)))
    medians = [match for match in by_size if match[1] == "50"]
    tails = [match for match in by_size if match[1] == "99"][:1]
    return [
        Column(
            title=f"p{match[1]}",
            unit="ms" if match[2] is None else f"ms b{match[2]}",
            metric=match[0],
            rank=7 if match[1] == "99" else 3 * bool(place),
        )
        for place, match in enumerate((*medians, *tails))
    ]
