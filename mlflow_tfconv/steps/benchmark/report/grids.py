"""Tables of numbers and texts for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from mlflow_tfconv.steps.benchmark.report.columns import number


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


class Shown(str):
    """A number that is text already."""

    __slots__ = ()


def grid(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]], note: str = ""
) -> Grid:
    """A table of numbers and texts without columns that say nothing; numbers stand right."""
    kept = [n for n in range(len(headings)) if any(row[n] not in (None, "") for row in rows)]
    return Grid(
        title=title,
        columns=tuple(headings[n] for n in kept),
        rows=tuple(tuple(_text(row[n]) for n in kept) for row in rows),
        right=tuple(all(_is_number(row[n]) or row[n] in (None, "") for row in rows) for n in kept),
        note=note,
    )


def percent(share: float | None, *, signed: bool = False) -> Shown:
    """A share for people; "" for none."""
    if share is None:
        return Shown("")
    digits = 0 if abs(share) >= 0.1 or share == 0 else 1
    return Shown(f"{100 * share:{'+' if signed else ''}.{digits}f} %")


def between(low: float | None, high: float | None) -> str:
    """An interval for people; "" where it is not known."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested plain values under dotted names; what is None or empty is left out."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        elif value is not None and value != () and value != []:
            found[f"{before}{name}"] = _text_of_setting(value)
    return found


def _is_number(cell: Any) -> bool:
    return isinstance(cell, Shown) or (isinstance(cell, Real) and not isinstance(cell, bool))


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return number(float(cell)) if isinstance(cell, Real) and _is_number(cell) else str(cell)


def _text_of_setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
