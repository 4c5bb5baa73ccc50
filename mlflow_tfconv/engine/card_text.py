"""A card in the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text as RichText

from mlflow_tfconv.engine.cards import Card, Picture, Table, Text


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
    """A table whose columns of numbers stand right."""
    rich = RichTable(
        title=table.caption or None,
        title_justify="left",
        title_style="italic",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
    )
    for position, name in enumerate(table.columns):
        cells = [row[position] for row in table.rows]
        right = bool(cells) and all(is_number(cell) for cell in cells)
        # Numbers, and what names the row, can't be read when they are broken in two.
        whole = right or position == 0
        rich.add_column(name, justify="right" if right else "left", no_wrap=whole, overflow="fold")
    for row in table.rows:
        rich.add_row(*(escape(cell) for cell in row))
    return rich


def is_number(cell: str) -> bool:
    """Whether a cell stands for a number, or for none."""
    if cell.strip() in ("", "-", "–", "—"):
        return True
    return cell.strip()[0] in "+-−0123456789.<>≤≥×"


def print_card(card: Card, title: str, console: Console | None = None) -> None:
    """Prints a card."""
    (console or Console()).print(card_text(card, title))
