"""What a search says: a child run a trial, a bar a trial, and what the best of them said itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from mlflow_tfconv.engine.events import (
    ArtifactFile,
    Emit,
    Event,
    Message,
    Metric,
    Param,
    Progress,
    RunEnded,
    Tag,
    VariantRun,
    now_ms,
)
from mlflow_tfconv.steps.train.trials.failed import Reasons
from mlflow_tfconv.steps.train.trials.trial import Trial, plain
from mlflow_tfconv.steps.train.trials_config import TrialsConfig

_STATUS = {"done": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
_USED = ("host_peak_mb", "gpu_peak_mb")


@dataclasses.dataclass(frozen=True, slots=True)
class Teller:
    """Says what the trials do.

    Attributes:
        emit: Takes the events.
        metric: What tells the best trial.
        total: How many trials there will be.
        reasons: Why trials have failed, as far as it was told.
    """

    emit: Emit
    metric: str
    total: int
    reasons: Reasons = dataclasses.field(default_factory=Reasons)

    def search_begins(self, config: TrialsConfig, direction: str) -> None:
        """What is the same for all trials belongs to the parent run."""
        for name in ("sampler", "parallel", "memory_limit_mb", "seed"):
            self.emit(Param(name=f"trials.{name}", value=getattr(config, name)))
        self.emit(Param(name="trials.count", value=self.total))
        self.emit(Param(name="trials.metric", value=self.metric))
        self.emit(Param(name="trials.direction", value=direction))

    def begins(self, trial: Trial) -> None:
        """A trial has a run from now on."""
        params = {key: as_param(value) for key, value in trial.values.items()}
        run = VariantRun(run=trial.run, fingerprint=trial.fingerprint, params=params, kind="trial")
        self.emit(run)

    def says(self, trial: Trial, event: Event) -> None:
        """What a trial says becomes what is said of it."""
        if isinstance(event, Metric):
            trial.said_ms = max(trial.said_ms, event.time_ms)
            self.emit(dataclasses.replace(event, run=trial.run))
        elif isinstance(event, Progress):
            name = f"trial {trial.number}"
            self.emit(dataclasses.replace(event, label=name, lane=trial.run))
        elif isinstance(event, Message) and event.level == "warning":
            self.emit(dataclasses.replace(event, text=f"{trial}: {event.text}"))

    def ended(self, trial: Trial) -> None:
        """How a trial ended, and what it has used."""
        used = {f"footprint/{name}": getattr(trial, name) for name in _USED}
        # The same time when it is said again: MLflow keeps a metric of the same time once.
        time_ms = trial.said_ms or now_ms()
        for name, value in {f"best/{self.metric}": trial.score, **used}.items():
            if value is not None:
                self.emit(Metric(name=name, value=value, run=trial.run, time_ms=time_ms))
        self.emit(Tag(name="tfconv.trial_state", value=trial.state, run=trial.run))
        if trial.reason:
            self.emit(Tag(name="tfconv.trial_reason", value=trial.reason, run=trial.run))
        self.emit(RunEnded(run=trial.run, status=_STATUS[trial.state]))
        self.emit(Progress(label=str(trial), done=1, total=1, lane=trial.run))
        if trial.state == "failed":
            self.emit(Message(text=self.reasons.told(trial), level="warning"))

    def again(self, trial: Trial, events: Iterable[Event]) -> None:
        """A trial whose result was there before."""
        self.begins(trial)
        for event in events:
            if isinstance(event, Metric):
                self.says(trial, event)
        self.ended(trial)

    def progress(self, trials: Iterable[Trial], best: Trial | None) -> None:
        """How far the search is."""
        known = list(trials)
        ended = [trial for trial in known if trial.state != "running"]
        told = [] if best is None else [f"best {plain(best.score)} (trial {best.number})"]
        for state in ("pruned", "failed"):
            count = sum(trial.state == state for trial in ended)
            told += [f"{count} {state}"] if count else []
        told += [
            f"trial {trial.number} after epoch {trial.epochs}: {plain(trial.scores[-1])}"
            for trial in known
            if trial.state == "running" and trial.scores
        ]
        detail = f"{self.metric}: {'; '.join(told)}" if told else ""
        self.emit(Progress(label="trials", done=len(ended), total=self.total, detail=detail))

    def chosen(self, best: Trial, events: Iterable[Event], kept: int) -> None:
        """The best goes on: the parent run gets what it has said.

        Args:
            best: The trial.
            events: What it has said.
            kept: How many trials were there before.
        """
        self.emit(Param(name="trials.best", value=best.run))
        for event in events:
            if isinstance(event, Metric | Param | ArtifactFile | Tag):
                self.emit(event)
        text = f"The best of the trials is {best}: {self.metric} {plain(best.score)}."
        before = f" {kept} of {self.total} were there before." if kept else ""
        self.emit(Message(text=text + before))


def as_param(value: Any) -> Any:
    """A setting as MLflow keeps it: lists and mappings as JSON."""
    return (
        value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value)
    )
