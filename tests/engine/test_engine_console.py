"""Bars of what goes on side by side."""

from __future__ import annotations

import io

from rich.console import Console

from mlflow_tfconv.engine.console import Terminal
from mlflow_tfconv.engine.events import Progress


def a_terminal(*, is_terminal: bool) -> tuple[Terminal, io.StringIO]:
    text = io.StringIO()
    return Terminal(Console(file=text, force_terminal=is_terminal, width=120)), text


def descriptions(terminal: Terminal) -> list[str]:
    assert terminal._progress is not None
    return [task.description for task in terminal._progress.tasks]


def test_each_lane_has_a_bar_until_it_is_done() -> None:
    terminal, _ = a_terminal(is_terminal=True)
    for event in (
        Progress(label="trials", done=0, total=4),
        Progress(label="trial 1", done=1, total=5, lane="trial/01"),
        Progress(label="trial 2", done=2, total=5, lane="trial/02"),
    ):
        terminal.handle("train", event)
    assert descriptions(terminal) == ["trials", "trial 1", "trial 2"]
    terminal.handle("train", Progress(label="trial 1", done=5, total=5, lane="trial/01"))
    assert descriptions(terminal) == ["trials", "trial 2"]
    terminal.close()


def test_a_new_label_replaces_the_bar_of_its_lane() -> None:
    terminal, _ = a_terminal(is_terminal=True)
    terminal.handle("train", Progress(label="reading", done=1, total=2))
    terminal.handle("train", Progress(label="training", done=0, total=2))
    assert descriptions(terminal) == ["training"]
    terminal.close()


def test_without_a_terminal_only_the_whole_is_told() -> None:
    terminal, text = a_terminal(is_terminal=False)
    terminal.handle("train", Progress(label="trial 1", done=1, total=5, lane="trial/01"))
    terminal.handle("train", Progress(label="trials", done=1, total=4, detail="val_loss: best 1"))
    assert "trial 1" not in text.getvalue()
    assert "trials: 1 of 4, val_loss: best 1" in text.getvalue()


def test_parts_of_a_unit_are_told_on_the_bar() -> None:
    terminal, text = a_terminal(is_terminal=True)
    detail = "74 examples, 280/s, 3.0 s left"
    terminal.handle("ingest", Progress(label="MB read", done=0.2, total=1234.7, detail=detail))
    terminal.close()
    assert "0.2 of 1,234.7 74 examples, 280/s, 3.0 s left" in text.getvalue()


def test_a_narrow_terminal_shows_all_of_a_bar() -> None:
    text = io.StringIO()
    terminal = Terminal(Console(file=text, force_terminal=True, width=60))
    detail = "epoch 2/3 loss 0.7136 accuracy 0.6094 val_loss 1.0025 14 s left"
    terminal.handle("train", Progress(label="training", done=1.5, total=3, detail=detail))
    terminal.close()
    shown = " ".join(text.getvalue().split())
    assert "training " in shown
    assert "1.5 of 3 epoch 2/3" in shown
    assert "14 s left" in shown
    assert "…" not in shown
