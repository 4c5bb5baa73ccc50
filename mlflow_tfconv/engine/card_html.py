"""Cards and the drawing of a recipe as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from mlflow_tfconv.engine.card_text import is_number
from mlflow_tfconv.engine.cards import Card, Picture, Table
from mlflow_tfconv.engine.overview import StepView

_PAGE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")


def card_html(card: Card, title: str) -> str:
    """A card as a page, its pictures inline."""
    return _environment().from_string(_PAGE).render(title=title, card=card, steps=())


def overview_html(steps: Sequence[StepView], title: str) -> str:
    """The steps of a recipe with their states and times as a page."""
    return _environment().from_string(_PAGE).render(title=title, card=None, steps=steps)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.tests |= {
        "picture": lambda part: isinstance(part, Picture),
        "table": lambda part: isinstance(part, Table),
    }
    environment.filters |= {"inline": _inline, "side": _side}
    return environment


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _side(position: int, table: Table) -> Markup:
    cells = [row[position] for row in table.rows]
    right = bool(cells) and all(is_number(cell) for cell in cells)
    return Markup(' class="number"') if right else Markup("")
