"""A trial trained in a process of its own, with a limit of its own; whatever happens to it."""

from __future__ import annotations

import dataclasses
import pickle
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import Event, Metric, Progress, ignore
from mlflow_tfconv.engine.guarded import Advice, Guard
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import OutOfMemoryError, StepError, TfconvError
from mlflow_tfconv.steps.train.batch_size import find_batch_size
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.dotted_keys import with_values
from mlflow_tfconv.steps.train.trials.pruning import Pruner
from mlflow_tfconv.steps.train.trials.trial import Trial
from mlflow_tfconv.steps.train.trials.trial_process import TrialTask

_TARGET = "mlflow_tfconv.steps.train.trials.trial_process:train_trial"
_ADVICE = Advice(
    memory="Raise `memory_limit_mb` of train.trials, train fewer in parallel, or try smaller "
    "settings, such as a smaller batch_size.",
    time="Raise `trial_timeout_s` of train.trials.",
    crash="Look into the log.",
)
#: Metrics of the training's memory, in MB.
_DEVICE_PEAK = "training/device_peak_mb"

Heard = Callable[[Trial, Event], None]


class _PrunedError(Exception):
    """Raised to end a trial that is not worth finishing."""


class _CancelledError(Exception):
    """Raised to end a trial because the search ends."""


@dataclass(slots=True, kw_only=True)
class TrialRunner:
    """Trains trials; several threads may do so at once.

    Attributes:
        source: The examples.
        context: The surroundings of a trial, with its limit.
        config: What the settings of a trial are put into; without `trials`.
        metric: What tells the best trial.
        pruner: Ends bad ones.
        memory_limit_mb: Most resident memory, or None.
        limit_s: Most seconds that a trial may train, or None.
        heard: Hears what a trial says, in the thread that trains it.
        cancelled: Set to end all trials.
    """

    source: Dataset
    context: StepContext
    config: TrainConfig
    metric: str
    pruner: Pruner
    memory_limit_mb: float | None
    limit_s: float | None
    heard: Heard
    cancelled: threading.Event = field(default_factory=threading.Event)

    def train(self, trial: Trial, folder: Path, others: Mapping[int, Trial]) -> None:
        """Trains one; its state says what has become of it.

        Args:
            trial: The trial; changed.
            folder: Where it writes.
            others: All trials by number, as they are.
        """
        trial.scores.clear()  # a trial that goes on says again what it has said before
        begun = time.monotonic()
        guard = self._guard(trial, others, begun)
        try:
            task = self._task(trial, folder)
            if task.config.batch_size == "auto":
                # Here and not in the trial's process, which would count as memory of the trial.
                self._find_batch_size(trial, task)
            values = guard.call(_TARGET, pickle.dumps(task))
        except _PrunedError as reason:
            trial.state, trial.reason = "pruned", str(reason)
            trial.score = self.pruner.best(trial.scores)
        except TfconvError as error:
            trial.state, trial.reason = "failed", str(error)
        else:
            trial.state = "done"
            trial.host_peak_mb = max(trial.host_peak_mb or 0.0, values["host_peak_mb"])
        finally:
            trial.seconds += time.monotonic() - begun

    def _find_batch_size(self, trial: Trial, task: TrialTask) -> None:
        """What is found is kept in the trial's folder, and told by the trial itself."""

        def show(event: Event) -> None:
            if isinstance(event, Progress):
                self.heard(trial, event)

        context = dataclasses.replace(task.context, emit=show)
        find_batch_size(task.source, task.workdir, context, task.config)

    def _task(self, trial: Trial, folder: Path) -> TrialTask:
        return TrialTask(
            source=self.source,
            workdir=folder,
            context=dataclasses.replace(self.context, emit=ignore, parts=None),
            config=with_values(self.config, trial.values),
            private=(self.source.manifest.parent,),
        )

    def _guard(self, trial: Trial, others: Mapping[int, Trial], begun: float) -> Guard:
        def hear(event: Event) -> None:
            self._listen(trial, event, others)

        def watch(used_mb: float) -> None:
            trial.host_peak_mb = max(trial.host_peak_mb or 0.0, used_mb)
            if self.cancelled.is_set():
                raise _CancelledError
            if self.limit_s is not None and time.monotonic() - begun > self.limit_s:
                raise _too_long(trial, self.limit_s)

        return Guard(
            what=trial.title,
            start="fork" if self.context.own_process else "fresh",
            memory_mb=self.memory_limit_mb,
            error=StepError,
            memory_error=OutOfMemoryError,
            advice=_ADVICE,
            emit=hear,
            on_memory=watch,
        )

    def _listen(self, trial: Trial, event: Event, others: Mapping[int, Trial]) -> None:
        self.heard(trial, event)
        if not isinstance(event, Metric):
            return
        if event.name == _DEVICE_PEAK:
            trial.gpu_peak_mb = max(trial.gpu_peak_mb or 0.0, event.value)
        if event.name == self.metric and event.step == trial.epochs + 1:
            trial.scores.append(event.value)
            compared = {
                number: other.scores
                for number, other in list(others.items())
                if other is not trial and other.state != "failed"
            }
            reason = self.pruner.reason(trial.scores, compared)
            if reason is not None and trial.epochs < self.config.epochs:
                raise _PrunedError(reason)


def _too_long(trial: Trial, limit_s: float) -> StepError:
    return StepError(
        f"{trial.title} was stopped: it took longer than it may.",
        received=f"{trial.epochs} epochs within {limit_s:g} s",
        expected=f"an end of the training within {limit_s:g} s",
        fix="Raise `trial_timeout_s` of train.trials, or look for what it waits for.",
    )
