"""A run in the terminal: which step is at work, how far it is, what it says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

import mlflow_tfconv.engine.events as events
from mlflow_tfconv.engine.overview import duration
from mlflow_tfconv.engine.store import StoredResult

_LINE_EVERY_S = 10.0
_NAMED = 3
_WIDE = 120


@dataclass(slots=True)
class Terminal:
    """Shows a run. Bars where there is a terminal; elsewhere a line every few seconds.

    Attributes:
        console: Where to print.
    """

    console: Console = field(default_factory=Console)
    _progress: Progress | None = None
    _tasks: dict[str, tuple[str, TaskID]] = field(default_factory=dict)
    _last_line_s: float = 0.0

    def step_started(self, step: str, why: Sequence[str]) -> None:
        """Announces the step, and what has changed since it ran last."""
        because = f" [dim](changed: {escape(_shortened(why))})[/dim]" if why else ""
        self.console.print(f"[bold]▶ {escape(step)}[/bold]{because}", highlight=False)

    def handle(self, step: str, event: events.Event) -> None:  # noqa: ARG002 (a Listener)
        """Shows progress and messages; the rest is for the tracking server."""
        if isinstance(event, events.Progress):
            self._show(event)
        elif isinstance(event, events.Message):
            color = "yellow" if event.level == "warning" else "default"
            self.console.print(f"  [{color}]{escape(event.text)}[/{color}]", highlight=False)

    def step_done(self, result: StoredResult, *, cached: bool) -> None:
        """Tells a step's result in a line."""
        self.close()
        how = "kept" if cached else duration(result.seconds)
        self.console.print(
            f"[green]✓[/green] {escape(result.step)} [dim]({how})[/dim] {escape(result.card.title)}",
            highlight=False,
        )

    def close(self) -> None:
        """Takes the bar away."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None
        self._tasks.clear()

    def _show(self, event: events.Progress) -> None:
        if not self.console.is_terminal:
            self._print_line(event)
            return
        if self._progress is None:
            self._progress = _bars(self.console)
            self._progress.start()
        if event.lane and event.total is not None and event.done >= event.total:
            self._take_away(event.lane)
            return
        label, _ = self._tasks.get(event.lane, (None, None))
        if label != event.label:
            self._take_away(event.lane)
            task = self._progress.add_task(
                escape(event.label), total=event.total, detail="", done="", of=""
            )
            self._tasks[event.lane] = (event.label, task)
        self._progress.update(
            self._tasks[event.lane][1],
            completed=event.done,
            total=event.total,
            of="" if event.total is None else f" of {_count(event.total)}",
            done=_count(event.done),
            detail=escape(event.detail),
        )

    def _take_away(self, lane: str) -> None:
        _, task = self._tasks.pop(lane, (None, None))
        if self._progress is not None and task is not None:
            self._progress.remove_task(task)

    def _print_line(self, event: events.Progress) -> None:
        """Of what goes on side by side the whole is told, and not each."""
        if event.lane or time.monotonic() - self._last_line_s < _LINE_EVERY_S:
            return
        self._last_line_s = time.monotonic()
        of = f" of {_count(event.total)}" if event.total is not None else ""
        detail = f", {event.detail}" if event.detail else ""
        text = f"  {event.label}: {_count(event.done)}{of}{detail}"
        self.console.print(escape(text), highlight=False)


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _count(number: float) -> str:
    """With thousands, and a tenth where it is not whole: "1,797", "0.7"."""
    return f"{number:,.1f}".removesuffix(".0")


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30 if console.width >= _WIDE else 10),
        # Parts of a unit are told too; how long the rest takes is in the detail, where it is known.
        TextColumn("{task.fields[done]}{task.fields[of]}"),
        # Where there is little room the detail goes on in a second line; the rest stays readable.
        TextColumn("{task.fields[detail]}", table_column=Column(no_wrap=False)),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
