"""Where the time of all variants goes, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.steps.benchmark.report.grids import percent
from mlflow_tfconv.steps.benchmark.report.stage_tables import stage_details
from mlflow_tfconv.steps.benchmark.report.standing import details_of

_OPERATORS = 3
_CAPTION = (
    "Converting: operators that only change the type, layout or place of a tensor (Quantize, "
    "Dequantize, Cast, Transpose, ...). Framework: time that no operator explains. Slower layers: "
    "against the first model of the same format."
)


def profile_table(reports: Reports) -> Table | None:
    """A line for each variant that was profiled; None when none was.

    Args:
        reports: What was measured; the profiles are among the variants' details.
    """
    rows = []
    for row in reports.rows:
        details = details_of(reports, row)
        profile = stage_details(details, "profile")
        if profile.get("operators"):
            rows.append((row.run_name, *_cells(profile), _slower(stage_details(details, "layers"))))
    if not rows:
        return None
    columns = ("variant", "where the time goes", "converting", "framework", "slower layers")
    return Table(columns=columns, rows=tuple(rows), caption=_CAPTION)


def _cells(profile: Mapping[str, Any]) -> tuple[str, str, str]:
    operators: Sequence[Mapping[str, Any]] = profile["operators"]
    most = ", ".join(f"{one['operator']} {percent(one['share'])}" for one in operators[:_OPERATORS])
    converting = (profile.get("conversions") or {}).get("share")
    return most, percent(converting), percent(profile.get("outside_share"))


def _slower(layers: Mapping[str, Any]) -> str:
    """How many and by how much; empty for what has nothing to be compared with."""
    if not layers.get("layers"):
        return ""
    slower = layers.get("slower") or ()
    return f"{len(slower)}, +{layers['slower_ms']:.3g} ms" if slower else "none"
