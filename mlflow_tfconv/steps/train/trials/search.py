"""Goes through the trials, some of them side by side; the best becomes the step's result."""

from __future__ import annotations

import dataclasses
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import Event, Message, Metric
from mlflow_tfconv.engine.step import StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.monitor import Monitor
from mlflow_tfconv.steps.train.trials.device_share import share_of
from mlflow_tfconv.steps.train.trials.direction import direction_of
from mlflow_tfconv.steps.train.trials.failed import all_failed
from mlflow_tfconv.steps.train.trials.fingerprints import Fingerprints
from mlflow_tfconv.steps.train.trials.one_trial import TrialRunner
from mlflow_tfconv.steps.train.trials.outcome import result_of, trials_table
from mlflow_tfconv.steps.train.trials.pruning import Pruner
from mlflow_tfconv.steps.train.trials.samplers import Sampler, sampler_of
from mlflow_tfconv.steps.train.trials.telling import Teller
from mlflow_tfconv.steps.train.trials.trial import Trial
from mlflow_tfconv.steps.train.trials.trial_store import TrialStore
from mlflow_tfconv.steps.train.trials_config import TrialsConfig

_FOLDER = "trials"
_ENDING_S = 5.0


def searched(
    source: Dataset, workdir: Path, context: StepContext, config: TrainConfig
) -> StepResult:
    """The result of the best trial.

    Args:
        source: The examples.
        workdir: The step's folder; of a killed search, what it has left.
        context: The surroundings.
        config: With `trials`.

    Raises:
        ConfigError: The search can't be done as it is asked for.
        StepError: All trials have failed.
    """
    if context.own_process:
        # Once, for the processes that are forked from this one.
        from mlflow_tfconv.steps.train.trials import trial_process  # noqa: F401
    search = _search(source, workdir, context, config)
    search.teller.search_begins(search.asked, search.runner.pruner.direction)
    search.go()
    best = search.trained_best()
    table = trials_table(
        list(search.trials.values()),
        search.runner.metric,
        direction=search.runner.pruner.direction,
        memory_limit_mb=search.asked.memory_limit_mb,
    )
    result = result_of(
        best, list(search.trials.values()), search.store, workdir=workdir, table=table
    )
    events = search.store.events_in(best.fingerprint, workdir)
    kept = sum(trial.kept for trial in search.trials.values())
    search.teller.chosen(best, events, kept)
    search.store.clear()
    return result


def _search(source: Dataset, workdir: Path, context: StepContext, config: TrainConfig) -> _Search:
    asked = config.trials
    assert asked is not None  # noqa: S101 (the step has looked)
    monitor = Monitor(config=config, validates=bool(source.counts.get("validation")))
    metric = monitor.there(asked.metric or config.monitor)
    own_metric = asked.metric is not None and asked.metric != config.monitor
    direction = direction_of(metric, asked.direction, "auto" if own_metric else config.mode)
    sampler = sampler_of(asked, direction)
    single = dataclasses.replace(config, trials=None)
    parts = context.parts.root if context.parts else workdir / f"{_FOLDER}-done"
    heard: queue.SimpleQueue[tuple[Trial, Event | _Ended]] = queue.SimpleQueue()
    runner = TrialRunner(
        source=source,
        context=share_of(context, asked),
        config=single,
        metric=metric,
        pruner=Pruner(asked.prune, direction),
        memory_limit_mb=asked.memory_limit_mb if context.device.kind == "cpu" else None,
        limit_s=asked.trial_timeout_s,
        heard=lambda trial, event: heard.put((trial, event)),
    )
    return _Search(
        asked=asked,
        sampler=sampler,
        runner=runner,
        store=TrialStore(workdir / _FOLDER, parts),
        fingerprints=Fingerprints(source, runner.context, single),
        teller=Teller(context.emit, metric, sampler.total),
        heard=heard,
    )


@dataclass(frozen=True, slots=True)
class _Ended:
    """A trial's thread has come to its end; `error` is none that a trial may have."""

    error: BaseException | None = None


@dataclass(slots=True, kw_only=True)
class _Search:
    """A search at work; all but the trials themselves happens in one thread."""

    asked: TrialsConfig
    sampler: Sampler
    runner: TrialRunner
    store: TrialStore
    fingerprints: Fingerprints
    teller: Teller
    heard: queue.SimpleQueue[tuple[Trial, Event | _Ended]]
    trials: dict[int, Trial] = field(default_factory=dict)
    running: dict[int, threading.Thread] = field(default_factory=dict)

    def go(self) -> None:
        """Trains all that are not there yet."""
        began, number = time.monotonic(), 1
        limit = self.asked.timeout_s
        try:
            while True:
                late = limit is not None and time.monotonic() - began > limit
                while number <= self.sampler.total and not late and self._has_room():
                    self._begin(number)
                    number += 1
                    self._show()
                if not self.running:
                    break
                self._hear_one()
        except BaseException:
            self.runner.cancelled.set()
            for thread in self.running.values():
                thread.join(_ENDING_S)
            raise
        if number <= self.sampler.total:
            left = self.sampler.total - number + 1
            text = f"{left} of {self.sampler.total} trials were not begun within {limit:g} s."
            self.teller.emit(Message(text=text, level="warning"))

    def trained_best(self) -> Trial:
        """The best trial, with its model.

        Raises:
            StepError: All have failed.
        """
        while True:
            best = self._best()
            if best is None:
                raise all_failed(self.trials.values())
            if self.store.has_model(best.fingerprint):
                return best
            # It was not the best of the search that it was trained for.
            self._train(dataclasses.replace(best, state="running", kept=False))
            while self.running:
                self._hear_one()

    def _has_room(self) -> bool:
        return len(self.running) < self.asked.parallel

    def _begin(self, number: int) -> None:
        trial = self.store.begun(number) or self._proposed(number)
        self.trials[number] = trial
        self.store.take_finished(trial)
        known = self.store.result(trial.fingerprint)
        if known is not None:
            self._take_known(trial, known)
        elif trial.state == "pruned":
            self.teller.again(trial, ())
        else:
            self._train(dataclasses.replace(trial, state="running", reason="", score=None))

    def _proposed(self, number: int) -> Trial:
        told = [self.trials[n].told() for n in sorted(self.trials)]
        values = self.sampler.propose(number, told)
        return Trial(number=number, values=values, fingerprint=self.fingerprints.of(values))

    def _take_known(self, trial: Trial, known: Mapping[str, object]) -> None:
        self._note_result(trial, known)
        trial.state, trial.kept = "done", True
        self.teller.again(trial, self.store.events(trial.fingerprint))
        for path in known["opened"]:  # type: ignore[attr-defined]  # JSON
            # What it hangs on, the step's result hangs on.
            sys.audit("open", path, None, os.O_RDONLY)

    def _train(self, trial: Trial) -> None:
        self.trials[trial.number] = trial
        folder = self.store.begin(trial)
        self.teller.begins(trial)

        def work() -> None:
            ended = _Ended()
            try:
                self.runner.train(trial, folder, self.trials)
            except BaseException as error:  # noqa: BLE001 (it is raised again where the search is)
                ended = _Ended(error)
            self.heard.put((trial, ended))

        # A daemon: when the step's process ends, so do its threads, and with them the trials.
        thread = threading.Thread(target=work, name=trial.run, daemon=True)
        self.running[trial.number] = thread
        thread.start()

    def _hear_one(self) -> None:
        trial, event = self.heard.get()
        if not isinstance(event, _Ended):
            self.teller.says(trial, event)
            if isinstance(event, Metric) and event.name == self.runner.metric:
                self._show()
            return
        self.running.pop(trial.number).join()
        if event.error is not None:
            raise event.error
        self._end(trial)
        self._show()

    def _end(self, trial: Trial) -> None:
        if trial.state == "done":
            before = self._best(but=trial)
            self.store.done(trial)
            known = self.store.result(trial.fingerprint)
            assert known is not None  # noqa: S101 (it has just been written)
            self._note_result(trial, known)
            self._keep_better(trial, before)
        else:
            self.store.given_up(trial)
        self.teller.ended(trial)

    def _note_result(self, trial: Trial, known: Mapping[str, object]) -> None:
        history = known["output"]["history"]  # type: ignore[index]  # JSON
        metric = self.runner.metric
        if metric not in history:
            raise ConfigError(
                f"The trials have no metric {metric} to be compared by.",
                received=f"metric: {metric}",
                expected=" or ".join(history),
                fix="Change `metric` of train.trials.",
            )
        trial.scores = list(history[metric])
        trial.score = trial.scores[known["best_epoch"] - 1]  # type: ignore[operator]
        peak = known["host_peak_mb"]
        assert isinstance(peak, float)  # noqa: S101 (as it was written)
        trial.host_peak_mb = max(trial.host_peak_mb or 0.0, peak)

    def _keep_better(self, trial: Trial, before: Trial | None) -> None:
        """One model is enough: that of the best so far."""
        best = self._best()
        for one in (trial, before):
            if one is not None and best is not None and one.fingerprint != best.fingerprint:
                self.store.drop_model(one.fingerprint)

    def _best(self, but: Trial | None = None) -> Trial | None:
        done = [t for t in self.trials.values() if t.state == "done" and t is not but]
        if not done:
            return None
        pruner = self.runner.pruner
        sign = 1 if pruner.direction == "min" else -1
        return min(done, key=lambda t: (sign * pruner.best([_score(t)]), t.number))

    def _show(self) -> None:
        self.teller.progress(self.trials.values(), self._best())


def _score(trial: Trial) -> float:
    return math.nan if trial.score is None else trial.score
