"""The report in a terminal: a table as wide as there is room for, and below it what to know."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.steps.benchmark.report.summary_table import (
    cells_width,
    shared_notes,
    summary_table,
)

_STYLES = {"▲": "green", "▼": "red", "=": "dim", "·": "dim"}
_NAME_SHARE = 0.3  # of the terminal, before names are broken


def printed(reports: Reports, width: int | None = None) -> RenderableType:
    """What a rich console prints.

    Args:
        reports: What was measured.
        width: Columns of the terminal; None leaves nothing out.
    """
    name_room = None if width is None else max(12, int(width * _NAME_SHARE))
    table = summary_table(reports, None, width, name_room=name_room)
    caption = Text(table.caption, style="italic")
    return Group(caption, Text(), _rich(table, name_room), *_remarks(reports))


def _rich(table: Table, name_room: int | None) -> RichTable:
    rich = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    rich.add_column(table.columns[0], overflow="fold", max_width=name_room)
    for place, title in enumerate(table.columns[1:], start=1):
        cells = [row[place] for row in table.rows]
        heading = "\n".join(textwrap.wrap(title, cells_width(title, cells) or 1))
        right = any(cell[:1].isdigit() for cell in cells)
        rich.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in table.rows:
        rich.add_row(Text(row[0]), *(_styled(cell) for cell in row[1:]))
    return rich


def _styled(cell: str) -> Text:
    if cell in ("failed", "unstable"):
        return Text(cell, style="red" if cell == "failed" else "yellow")
    if cell.endswith(("slower", "faster")):
        return Text(cell, style="red" if cell.endswith("slower") else "green")
    text = Text(cell)
    if cell and cell[-1] in _STYLES:
        text.stylize(_STYLES[cell[-1]], len(cell) - 1)
    return text


def _remarks(reports: Reports) -> Iterator[Text]:
    """The notes that are not true of all; failures are told by who prints."""
    shared = shared_notes(reports.rows)
    own = [(row, note) for row in reports.rows for note in row.notes if note not in shared]
    if own:
        yield Text()
    for row, note in own:
        yield Text.assemble((row.run_name, "bold"), f": {note}")
