"""The best trial becomes the result of the step."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.cards import Card, Table
from mlflow_tfconv.engine.codec import decode
from mlflow_tfconv.engine.step import StepResult
from mlflow_tfconv.steps.train.trials.trial import Trial, plain
from mlflow_tfconv.steps.train.trials.trial_process import EVENTS_FILE, RESULT_FILE
from mlflow_tfconv.steps.train.trials.trial_store import TrialStore

_NOT_TAKEN = frozenset({EVENTS_FILE, RESULT_FILE, "resume"})
_LONGEST_REASON = 160


def result_of(
    best: Trial, trials: Sequence[Trial], store: TrialStore, *, workdir: Path, table: Table
) -> StepResult:
    """The files of the best trial, put into the step's folder, and its card with all trials.

    Args:
        best: It has been trained, and its model is there.
        trials: All.
        store: Where they are.
        workdir: The step's folder.
        table: All trials, for the card.
    """
    part, data = store.part(best.fingerprint), store.result(best.fingerprint)
    assert data is not None  # noqa: S101 (it was trained)
    for path in part.iterdir():
        if path.name not in _NOT_TAKEN:
            _put(path, workdir / path.name)
    card: Card = decode(data["card"], workdir)
    title = f"Best of {len(trials)} trials is {best}. {card.title}"
    return StepResult(
        output=decode(data["output"], workdir),
        card=Card(title=title, parts=(table, *card.parts)),
    )


def trials_table(
    trials: Sequence[Trial], metric: str, *, direction: str, memory_limit_mb: float | None
) -> Table:
    """All trials, the best first."""
    keys = list(dict.fromkeys(key for trial in trials for key in trial.values))
    on_gpu = any(trial.gpu_peak_mb is not None for trial in trials)
    columns = (
        *("trial", *(key.removeprefix("params.") for key in keys), metric, "epochs", "state"),
        *("host peak MB", *(["GPU peak MB"] if on_gpu else []), "limit MB", "seconds"),
    )
    rows = tuple(
        (
            str(trial.number),
            *(plain(trial.values.get(key, "")) for key in keys),
            "" if trial.score is None else f"{trial.score:.5g}",
            str(trial.epochs),
            _state(trial),
            _number(trial.host_peak_mb),
            *([_number(trial.gpu_peak_mb)] if on_gpu else []),
            _number(memory_limit_mb),
            f"{trial.seconds:.0f}",
        )
        for trial in sorted(trials, key=lambda trial: _rank(trial, direction))
    )
    limit = "the GPU" if on_gpu else "the host"
    caption = f"Trials, the best first; {metric} is that of the epoch whose weights are kept"
    if memory_limit_mb is not None:
        caption += f"; the limit is of {limit}"
    return Table(columns=columns, rows=rows, caption=caption)


def _rank(trial: Trial, direction: str) -> tuple[Any, ...]:
    order = ("done", "pruned", "running", "failed").index(trial.state)
    score = math.nan if trial.score is None else trial.score
    value = score if direction == "min" else -score
    return (order, math.isnan(value), 0.0 if math.isnan(value) else value, trial.number)


def _state(trial: Trial) -> str:
    if trial.state == "done":
        return "done before" if trial.kept else "done"
    reason = next(iter(trial.reason.splitlines()), "").removeprefix(f"{trial.title} ")
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]}..."
    return f"{trial.state}: {reason}" if reason else trial.state


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _put(source: Path, target: Path) -> None:
    """A link where the file system has them: the files of a finished trial are not changed."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=_linked)
    else:
        target.unlink(missing_ok=True)
        _linked(str(source), str(target))


def _linked(source: str, target: str) -> None:
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)
