"""The card of a step: what a person wants to see of its result, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under named columns; numbers are already formatted."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG in the step's folder; `text` says in words what it shows (terminal, screen reader)."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a step shows of its result.

    Attributes:
        title: One line, such as "1,797 examples in 3 splits".
        parts: In reading order.
    """

    title: str
    parts: tuple[Text | Table | Picture, ...] = ()


CARD_PARTS: dict[str, type] = {kind.__name__: kind for kind in (Text, Table, Picture, Card)}
