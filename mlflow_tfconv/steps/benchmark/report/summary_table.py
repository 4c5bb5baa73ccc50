"""The table that compares the variants, in as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.steps.benchmark.report.columns import Column, columns, number
from mlflow_tfconv.steps.benchmark.report.standing import in_words, reference_of, standing

_MARKS = {"better": "▲", "worse": "▼", "equal": "="}
_NOT_COMPARED = "·"
_SPACE = 2  # blanks between two columns
_HEADING = 7  # letters in a line of a heading, even where the numbers are shorter


def summary_table(
    reports: Reports,
    primary: str | None = None,
    width: int | None = None,
    *,
    name_room: int | None = None,
) -> Table:
    """One row a variant; numbers carry marks, and the rightmost column says what is amiss.

    Args:
        reports: What was measured.
        primary: The quality metric to show.
        width: What there is room for, in letters; None shows all.
        name_room: Longer names are broken, and take only this much.
    """
    shown = columns(reports.rows, primary)
    table = _table(reports, shown)
    while width is not None and _width(table, name_room) > width and len(shown) > 1:
        last = max(range(len(shown)), key=lambda place: (shown[place].rank, place))
        shown.pop(last)
        table = _table(reports, shown)
    return table


def legend(reports: Reports) -> str:
    """What the marks mean; "" when there is nothing to compare with."""
    reference = reference_of(reports)
    if reference is None or sum(row.failure is None for row in reports.rows) < 2:
        return ""
    return f"▲ better, ▼ worse, = not told apart from {reference.run_name}"


def shared_notes(rows: Sequence[VariantReport]) -> list[str]:
    """What is true of all that were measured: it is said once."""
    measured = [row.notes for row in rows if not row.failure]
    if len(measured) < 2:
        return []
    return [note for note in measured[0] if all(note in notes for notes in measured)]


def caption(reports: Reports) -> str:
    """On what it was measured."""
    machine = reports.environment.get("machine") or {}
    gpu = (reports.environment.get("gpu") or {}).get("name")
    where = gpu or machine.get("processor") or "?"
    return f"On {reports.environment.get('device', '?')}: {where}"


def cells_width(title: str, cells: Sequence[str]) -> int:
    """Letters that a column takes whose heading is broken at blanks, but not to less than needed."""
    words = [len(word) for word in title.split()]
    return max([*words, min(len(title), _HEADING), *(len(cell) for cell in cells)])


def _table(reports: Reports, shown: Sequence[Column]) -> Table:
    compared = [c.metric for c in shown if c.metric.startswith("latency/p50")][:1]
    reference = reference_of(reports)
    if reference is None or len(reports.rows) < 2:
        compared = []
    rows = tuple(
        (
            row.run_name,
            *(cell for c in shown for cell in _cells(row, c, compared, reports)),
            _remark(row),
        )
        for row in reports.rows
    )
    against = "" if reference is None else f"against {reference.run_name}"
    titles = [t for c in shown for t in (c.heading, *([against] if c.metric in compared else []))]
    said = [caption(reports), legend(reports)]
    said += [f"Each: {note}" for note in shared_notes(reports.rows)]
    return _without_empty(
        Table(columns=("variant", *titles, ""), rows=rows, caption=". ".join(filter(None, said)))
    )


def _cells(
    row: VariantReport, column: Column, compared: Sequence[str], reports: Reports
) -> list[str]:
    text = number(row.metrics.get(column.metric), column.digits)
    found = standing(row, column.metric, reports)
    marked = any(standing(other, column.metric, reports) for other in reports.rows)
    if text and marked:
        text += f" {_MARKS[found.verdict] if found else _NOT_COMPARED}"
    if column.metric not in compared:
        return [text]
    return [text, in_words(column.metric, found) if found else ""]


def _remark(row: VariantReport) -> str:
    if row.failure:
        return "failed"
    return "unstable" if any("unstable" in note for note in row.notes) else ""


def _without_empty(table: Table) -> Table:
    """The same without columns that say nothing."""
    kept = [
        place
        for place in range(len(table.columns))
        if place == 0 or any(row[place] for row in table.rows)
    ]
    return Table(
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
        caption=table.caption,
    )


def _width(table: Table, name_room: int | None) -> int:
    """Letters that its lines take; headings may be broken at blanks."""
    widths = [
        cells_width(title, [row[place] for row in table.rows])
        for place, title in enumerate(table.columns)
    ]
    widths[0] = min(widths[0], name_room or widths[0])
    return sum(width + _SPACE for width in widths)
