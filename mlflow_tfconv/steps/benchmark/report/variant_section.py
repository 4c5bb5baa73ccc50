"""What the page shows of one variant: its notes, its own tables, all of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.columns import number
from mlflow_tfconv.steps.benchmark.report.meanings import meaning
from mlflow_tfconv.steps.benchmark.report.panels import bounds_in_words
from mlflow_tfconv.steps.benchmark.report.standing import details_of, in_words, standing

_LONGEST = 300  # letters of a setting that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of texts.

    Attributes:
        title: Above it.
        columns: Its headings.
        rows: Its cells.
        right: Which columns hold numbers.
        note: Below it, or "".
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]
    note: str = ""


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
    grids += [*_memory_grids(details), *_class_grids(details), _metrics_grid(row, reports)]
    return VariantSection(
        name=row.run_name,
        failure=row.failure,
        notes=tuple(row.notes),
        grids=tuple(grid for grid in grids if grid.rows),
        settings=_settings(details),
    )


def grid(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]], note: str = ""
) -> Grid:
    """A table of numbers and texts; a column of numbers stands right."""
    right = tuple(
        any(_is_number(row[place]) for row in rows)
        and all(_is_number(row[place]) or row[place] in (None, "") for row in rows)
        for place in range(len(headings))
    )
    texts = tuple(tuple(_text(cell) for cell in row) for row in rows)
    return Grid(title=title, columns=tuple(headings), rows=texts, right=right, note=note)


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested plain values under dotted names; what is None or empty is left out."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        elif value is not None and value != () and value != []:
            found[f"{before}{name}"] = _text_of_setting(value)
    return found


def _own_grid(table: Mapping[str, Any]) -> Grid:
    rows = [list(row) for row in table.get("rows") or ()]
    return grid(str(table["title"]), table["columns"], rows, str(table.get("note") or ""))


def _memory_grids(details: Mapping[str, Any]) -> list[Grid]:
    memory = details.get("memory")
    if not isinstance(memory, Mapping):
        return []
    limits = [[x["what"], x["allowed_mb"], x["used_mb"]] for x in memory.get("limits") or ()]
    method = memory.get("method")
    ways = method.items() if isinstance(method, Mapping) else [("memory", method)] if method else []
    return [
        grid("Memory: allowed and used", ("what", "allowed MB", "used MB"), limits),
        grid("How memory was measured", ("what", "how"), [[what, how] for what, how in ways]),
    ]


def _class_grids(details: Mapping[str, Any]) -> list[Grid]:
    quality = details.get("quality")
    classes = quality.get("per_class") if isinstance(quality, Mapping) else None
    rows = [
        [
            name,
            found.get("count"),
            found.get("accuracy"),
            _between(found.get("low"), found.get("high")),
            found.get("drop"),
            _between(found.get("drop_low"), found.get("drop_high")),
        ]
        for name, found in (classes or {}).items()
    ]
    headings = ("class", "examples", "accuracy", "95 % interval", "drop", "95 % interval")
    return [_without_empty_columns(grid("Each class", headings, rows))]


def _metrics_grid(row: VariantReport, reports: Reports) -> Grid:
    rows = []
    for metric, value in row.metrics.items():
        found = standing(row, metric, reports)
        digits = 4 if metric.startswith("quality/") else 3
        rows.append(
            [
                metric,
                _Shown(number(value, digits)),
                bounds_in_words(row, metric, digits),
                in_words(metric, found) if found else "",
                meaning(metric),
            ]
        )
    headings = ("metric", "value", "95 % interval", "against the reference", "what it is")
    return _without_empty_columns(grid("All numbers", headings, rows))


class _Shown(str):
    """A number that is text already."""

    __slots__ = ()


def _without_empty_columns(whole: Grid) -> Grid:
    kept = [n for n in range(len(whole.columns)) if any(row[n] for row in whole.rows)]
    return Grid(
        title=whole.title,
        columns=tuple(whole.columns[n] for n in kept),
        rows=tuple(tuple(row[n] for n in kept) for row in whole.rows),
        right=tuple(whole.right[n] for n in kept),
        note=whole.note,
    )


def _settings(details: Mapping[str, Any]) -> dict[str, str]:
    """Plain values that are short; what has a place of its own on the page is left out."""
    plain = {
        name: value
        for name, value in details.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }
    return {name: text for name, text in flat(plain).items() if len(text) <= _LONGEST}


def _between(low: Any, high: Any) -> str:
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def _is_number(cell: Any) -> bool:
    return isinstance(cell, _Shown) or (isinstance(cell, Real) and not isinstance(cell, bool))


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return number(float(cell)) if isinstance(cell, Real) and _is_number(cell) else str(cell)


def _text_of_setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
