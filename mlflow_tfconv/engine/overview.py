"""The steps of a recipe with their states and times, for people."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.lock import running_since
from mlflow_tfconv.engine.plan import Plan, fingerprint
from mlflow_tfconv.engine.store import StepRecord, Store, StoredResult

_NOUNS = {
    "train": "Dataset",
    "convert": "Checkpoint",
    "compress": "ConvertedModel",
    "benchmark": "Variants",
    "register": "Reports",
}
_STYLES = {
    "current": "green",
    "failed": "red",
    "stale": "yellow",
    "running": "blue",
    "missing": "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """What is shown of a step.

    Attributes:
        name: The step.
        state: "current" | "stale" | "missing" | "failed" | "running".
        label: The state and the time, in words.
        takes: The noun that comes in.
        summary: Its card's title, or "".
        error: What went wrong, or "".
    """

    name: str
    state: str
    label: str
    takes: str
    summary: str = ""
    error: str = ""


def step_views(plan: Plan, store: Store) -> tuple[StepView, ...]:
    """The state of every step as things are on disk now."""
    digests = Digests(store.root / "digests.json")
    records, done = store.records(plan.profile), dict[str, StoredResult]()
    since, views = running_since(store.root), []
    for position, step in enumerate(plan.steps):
        known = len(done) == position
        mark = fingerprint(step, plan, done, digests) if known else ""
        result = store.lookup(step.name, mark, digests) if known else None
        if result is not None:
            done[step.name] = result
        record = records.get(step.name)
        if record is not None and record.status == "running":
            # A record alone doesn't know that its run was killed; the lock does.
            alive = since is not None and record.started_s >= since
            record = record if alive else dataclasses.replace(record, status="interrupted")
        views.append(_view(step.name, result, record))
    digests.save()
    return tuple(views)


def _view(name: str, result: StoredResult | None, record: StepRecord | None) -> StepView:
    takes = _NOUNS.get(name, "")
    if result is not None:
        label = f"done, took {duration(result.seconds)}"
        return StepView(
            name=name, state="current", label=label, takes=takes, summary=result.card.title
        )
    if record is None:
        return StepView(name=name, state="missing", label="not run", takes=takes)
    when = _ago(record.started_s)
    if record.status == "failed":
        label, error = f"failed {when}", record.error or ""
        return StepView(name=name, state="failed", label=label, takes=takes, error=error)
    if record.status == "interrupted":
        return StepView(name=name, state="stale", label=f"interrupted {when}", takes=takes)
    if record.status == "running":
        return StepView(name=name, state="running", label=f"running, started {when}", takes=takes)
    return StepView(name=name, state="stale", label=f"out of date (last run {when})", takes=takes)


def overview_text(views: Sequence[StepView], title: str) -> RenderableType:
    """The steps in the terminal."""
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("step", "state", "takes", "result"):
        table.add_column(column, overflow="fold")
    for view in views:
        state = Text(view.label, style=_STYLES[view.state])
        table.add_row(view.name, state, view.takes, escape(view.summary))
    errors = [Text(view.error, style="red") for view in views if view.error]
    return Group(table, *errors)


def duration(seconds: float) -> str:
    """A time as people say it: "0.4 s", "12 s", "3 min 5 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _ago(started_s: float) -> str:
    return f"{duration(max(0.0, time.time() - started_s))} ago"
