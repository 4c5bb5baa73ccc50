"""What the page shows of one variant: its notes, its own tables, all of its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.columns import number
from mlflow_tfconv.steps.benchmark.report.grids import Grid, Shown, flat, grid
from mlflow_tfconv.steps.benchmark.report.meanings import meaning
from mlflow_tfconv.steps.benchmark.report.panels import bounds_in_words
from mlflow_tfconv.steps.benchmark.report.stage_tables import stage_grids
from mlflow_tfconv.steps.benchmark.report.standing import details_of, in_words, standing

_LONGEST = 300  # letters of a setting that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSection:
    """One variant.

    Attributes:
        name: Its run name.
        failure: Why it could not be measured, or None.
        notes: What a reader should know.
        grids: Tables of its own, the most important first.
        settings: What was in force, by name.
    """

    name: str
    failure: str | None
    notes: tuple[str, ...]
    grids: tuple[Grid, ...]
    settings: Mapping[str, str]


def variant_section(row: VariantReport, reports: Reports) -> VariantSection:
    """What there is to say about a variant beyond the comparison."""
    details = details_of(reports, row)
    grids = [_own_grid(table) for table in details.get("tables") or ()]
    grids += [*stage_grids(details), _metrics_grid(row, reports)]
    return VariantSection(
        name=row.run_name,
        failure=row.failure,
        notes=tuple(row.notes),
        grids=tuple(grid for grid in grids if grid.rows),
        settings=_settings(details),
    )


def _own_grid(table: Mapping[str, Any]) -> Grid:
    rows = [list(row) for row in table.get("rows") or ()]
    return grid(str(table["title"]), table["columns"], rows, str(table.get("note") or ""))


def _metrics_grid(row: VariantReport, reports: Reports) -> Grid:
    rows = []
    for metric, value in row.metrics.items():
        found = standing(row, metric, reports)
        digits = 4 if metric.startswith("quality/") else 3
        rows.append(
            [
                metric,
                Shown(number(value, digits)),
                bounds_in_words(row, metric, digits),
                in_words(metric, found) if found else "",
                meaning(metric),
            ]
        )
    headings = ("metric", "value", "95 % interval", "against the reference", "what it is")
    return grid("All numbers", headings, rows)


def _settings(details: Mapping[str, Any]) -> dict[str, str]:
    """Plain values that are short; what has a place of its own on the page is left out."""
    surroundings = details.get("surroundings")
    told = {**details, **(surroundings if isinstance(surroundings, Mapping) else {})}
    plain = {
        name: value
        for name, value in told.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }
    placed = told.get("placement")
    if isinstance(placed, Mapping) and "pinned" in placed:
        plain["threads are bound to processors"] = "yes" if placed["pinned"] else "no"
    return {name: text for name, text in flat(plain).items() if len(text) <= _LONGEST}
