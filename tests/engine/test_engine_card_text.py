"""Tables of cards in terminals of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mlflow_tfconv.engine.card_text import table_text
from mlflow_tfconv.engine.cards import Table

TABLE = Table(
    columns=("variant", "accuracy", "against base/keras", "why", "peak MB"),
    rows=(
        ("base/keras", "0.9884 ·", "", "the first of several words, and some more", "760 ·"),
        ("int8/onnx", "0.9884 =", "22× faster", "[bold] is no markup", "59.9 ▲"),
    ),
    caption="On cpu",
)


def shown(width: int, table: Table = TABLE) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table_text(table))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_with_room_all_stands_in_one_table() -> None:
    lines = shown(120).splitlines()
    assert len(lines) == 5
    said = " ".join(lines[-1].split())
    assert said == "int8/onnx 0.9884 = 22× faster [bold] is no markup 59.9 ▲"


@pytest.mark.parametrize("width", [34, 44, 60, 72, 80, 96])
def test_without_room_no_word_is_broken_and_nothing_sticks_out(width: int) -> None:
    text = shown(width)
    assert max(len(line) for line in text.splitlines()) <= width
    for word in ("accuracy", "base/keras", "against", "faster", "markup", "0.9884 =", "59.9 ▲"):
        assert word in text


def test_what_there_is_no_room_for_follows_behind_the_same_names() -> None:
    text = shown(34)
    assert text.count("int8/onnx") == 3
    assert text.count("On cpu") == 1


def test_a_table_without_rows_shows_its_columns() -> None:
    assert "accuracy" in shown(80, Table(columns=TABLE.columns, rows=(), caption=""))
