"""Keeps the state of a training, and brings it back after a kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import keras

from mlflow_tfconv.engine.events import Message, Metric
from mlflow_tfconv.steps.train.backup import Backup, TrainingState
from mlflow_tfconv.steps.train.callback_state import (
    changed_attributes,
    plain_attributes,
    random_states,
    restore_attributes,
    restore_random_states,
)
from mlflow_tfconv.steps.train.callbacks.best_epoch import BestEpoch
from mlflow_tfconv.steps.train.job import TrainingJob


class KeepState(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Keeps the state after every epoch, then logs its metrics; within an epoch now and then.

    To be the last callback: at the start the others' methods would reset what it brings back, at
    the end of an epoch it keeps what the others have decided.
    """

    def __init__(self, job: TrainingJob, others: Sequence[Any], best: BestEpoch) -> None:
        super().__init__()
        self._job, self._others, self._best = job, others, best
        self._backup = Backup(job.resume, job.logs)
        self._before: list[Mapping[str, bytes]] = []
        self._metrics: tuple[Metric, ...] = ()
        self._last_kept = 0
        #: Gives what a loop of the user's own has told of the unfinished epoch.
        self.loop_state: Callable[[], bytes] = bytes
        self.state: TrainingState | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Brings the state back."""
        del logs  # Keras passes it
        self._before = [plain_attributes(callback) for callback in self._others]
        if self.state is not None:
            self._metrics = self.state.metrics
            self._restore_others(self.state)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Within an epoch, brings back what its begin has reset."""
        del logs  # Keras passes it
        self._epoch, self._last_kept = epoch, 0
        state = self.state
        if state is None or not state.steps or state.epochs != epoch:
            return
        self._last_kept = state.steps
        self._restore_others(state)
        if not self._backup.restore_variables(self.model, state.epochs, state.steps).metrics:
            text = f"The metrics of epoch {epoch + 1} are of its batches from {state.steps + 1} on."
            self._job.emit(Message(text=text, level="warning"))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keeps the state; what was logged is in it, so no epoch is logged twice."""
        values = {k: float(v) for k, v in (logs or {}).items() if isinstance(v, Real)}
        new = [Metric(name=name, value=value, step=epoch + 1) for name, value in values.items()]
        self._metrics = (*self._metrics, *new)
        self._keep(epoch + 1)
        for metric in new:
            self._job.emit(metric)

    def restore_weights(self) -> None:
        """Puts everything that the model holds back to the last state."""
        assert self.state is not None  # noqa: S101 (an epoch was trained)
        self._backup.restore_variables(self.model, self.state.epochs, self.state.steps)

    def _keep(self, epochs: int, steps: int = 0) -> None:
        state = TrainingState(
            epochs=epochs,
            steps=steps,
            best_epoch=self._best.best_epoch + 1 if self._metrics else 0,
            stopped=bool(self.model.stop_training),
            metrics=self._metrics,
            callbacks=changed_attributes(self._others, self._before),
            random_states=random_states(),
            log_sizes=self._backup.log_sizes(),
            loop=self.loop_state() if steps else b"",
        )
        self._backup.save(self.model, state)
        self.state = state

    def _restore_others(self, state: TrainingState) -> None:
        restore_attributes(self._others, state.callbacks)
        restore_random_states(state.random_states)


class KeepStateOften(KeepState):
    """Also keeps the state within epochs.

    A class of its own, since Keras waits for every batch once a callback looks at its end.
    """

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keeps the state every so many batches, but for the last of an epoch."""
        del logs  # Keras passes it
        every, done = self._job.config.backup_every_steps, batch + 1
        if every is None or done // every == self._last_kept // every:
            return
        if done < self._job.steps_per_epoch:
            self._last_kept = done
            self._keep(self._epoch, done)
