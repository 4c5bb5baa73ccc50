"""A card in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text as RichText

from mlflow_tfconv.engine.cards import Card, Picture, Table, Text

_LONG_WORD = 30  # letters: a longer one may be broken
_BETWEEN = 2  # blanks between two columns


def card_text(card: Card, title: str) -> RenderableType:
    """What a rich console prints of a card."""
    title_line = RichText(card.title, style="bold")
    parts = (line for part in card.parts for line in (RichText(), _part(part)))
    return Panel(
        Group(title_line, *parts), title=escape(title), title_align="left", border_style="dim"
    )


def _part(part: Text | Table | Picture) -> RenderableType:
    if isinstance(part, Text):
        return RichText(part.text)
    if isinstance(part, Picture):
        return RichText(f"{part.text}\n  picture: {part.path}", style="dim")
    return table_text(part)


def table_text(table: Table) -> RenderableType:
    """A table whose columns of numbers stand right.

    Where there is too little room for all columns, those that are left follow in another table
    below, behind the same names of the rows.
    """
    return _Fitting(table)


@dataclass(frozen=True, slots=True)
class _Fitting:
    """A table that takes as many tables as the width asks for."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [_column(self.table, place) for place in range(len(self.table.columns))]
        for number, places in enumerate(_side_by_side(columns, options.max_width)):
            if number:
                yield RichText()
            room = options.max_width - _width(columns, places)
            _share(room, [columns[place] for place in places])
            yield _rich(self.table, columns, places, "" if number else self.table.caption)


@dataclass(slots=True)
class _Column:
    """How wide a column is at least, at best, and by what was shared out."""

    right: bool
    whole: bool
    least: int
    best: int
    width: int


def _column(table: Table, place: int) -> _Column:
    cells = [row[place] for row in table.rows]
    right = bool(cells) and all(is_number(cell) for cell in cells)
    # Numbers, and what names the row, can't be read when they are broken in two.
    whole = right or place == 0
    best = max(cell_len(text) for text in (table.columns[place], *cells))
    words = " ".join([table.columns[place], *cells]).split()
    longest = max((cell_len(word) for word in words), default=0)
    least = best if whole else min(longest, _LONG_WORD)
    return _Column(right=right, whole=whole, least=least, best=best, width=least)


def _side_by_side(columns: Sequence[_Column], room: int) -> list[list[int]]:
    """Places of the columns that there is room for, each time behind the first."""
    groups = [[0]]
    for place in range(1, len(columns)):
        if len(groups[-1]) > 1 and _width(columns, [*groups[-1], place]) > room:
            groups.append([0])
        groups[-1].append(place)
    return groups


def _width(columns: Sequence[_Column], places: Sequence[int]) -> int:
    return sum(columns[place].least for place in places) + _BETWEEN * (len(places) - 1)


def _share(room: int, columns: Sequence[_Column]) -> None:
    """Gives what is left to the columns that would be wider, first to who needs the least."""
    hungry = sorted((c for c in columns if c.best > c.least), key=lambda c: c.best - c.least)
    for left, column in zip(range(len(hungry), 0, -1), hungry, strict=True):
        given = max(0, min(column.best - column.least, room // left))
        column.width, room = column.least + given, room - given


def _rich(
    table: Table, columns: Sequence[_Column], places: Sequence[int], caption: str
) -> RichTable:
    rich = RichTable(
        title=caption or None,
        title_justify="left",
        title_style="italic",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
    )
    for place in places:
        column = columns[place]
        rich.add_column(
            table.columns[place],
            justify="right" if column.right else "left",
            no_wrap=column.whole,
            overflow="fold",
            max_width=column.width,
        )
    for row in table.rows:
        rich.add_row(*(escape(row[place]) for place in places))
    return rich


def is_number(cell: str) -> bool:
    """Whether a cell stands for a number, or for none."""
    if cell.strip() in ("", "-", "–", "—"):
        return True
    return cell.strip()[0] in "+-−0123456789.<>≤≥×"


def print_card(card: Card, title: str, console: Console | None = None) -> None:
    """Prints a card."""
    (console or Console()).print(card_text(card, title))
