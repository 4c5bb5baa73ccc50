"""Tells how far training is, and ends it when its loss is no longer a number."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from mlflow_tfconv.engine.events import Progress
from mlflow_tfconv.steps.train.diagnosis.caught import all_finite
from mlflow_tfconv.steps.train.diagnosis.not_finite import NotFiniteError
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.monitor import no_such_metric
from mlflow_tfconv.steps.train.pace import Pace

_SECONDS_BETWEEN_BARS = 0.25

Logs = Mapping[str, float]


@dataclass(slots=True)
class _Clock:
    """What is of this process alone, and not brought back in another."""

    pace: Pace
    next_bar: float = 0.0
    epoch_began: float = 0.0
    lock: Any = field(default_factory=threading.Lock)


class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Moves the bar a few times a second, and looks at every loss.

    Looking at the loss of a batch waits for the GPU. Keras does it in threads of its own when no
    callback minds, and the next batch is begun meanwhile.
    """

    #: Keras asks for it: batches may be told by several threads.
    async_safe = True

    def __init__(self, job: TrainingJob) -> None:
        super().__init__()
        self._emit = job.emit
        self._epochs, self._steps = job.config.epochs, job.steps_per_epoch
        self._monitor = job.monitor.best
        self._epoch = self._together = 0
        self._clock = _Clock(pace=Pace(epochs=self._epochs, examples=job.counts["train"]))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remembers the epoch."""
        del logs  # Keras passes it
        self._epoch = epoch
        self._clock.epoch_began = time.perf_counter()
        # Losses of several batches in one call of TensorFlow come once.
        self._together = _batches_a_call(self.model)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Looks at the losses, which are means since the epoch began."""
        logs = logs or {}
        for name, value in _losses(logs):
            if not math.isfinite(value):
                first = batch // self._together * self._together
                raise self._error(name, value, (first, batch))
        now = time.perf_counter()
        with self._clock.lock:
            if now < self._clock.next_bar:
                return
            self._clock.next_bar = now + _SECONDS_BETWEEN_BARS
        self._show(self._epoch + (batch + 1) / self._steps, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Looks at the losses of the validation, and at the metric to monitor."""
        logs = logs or {}
        if self._monitor not in logs:
            raise no_such_metric(self._monitor, list(logs))
        for name, value in _losses(logs):
            if not math.isfinite(value):
                raise self._error(name, value, None)
        if math.isnan(logs[self._monitor]):
            raise self._error(self._monitor, logs[self._monitor], None)
        self._look_at_weights()
        self._show(epoch + 1, logs)

    def _look_at_weights(self) -> None:
        """A ReLU makes 0 of NaN: then the loss stays finite, and nothing is learned."""
        for weight in self.model.trainable_weights:
            if not all_finite([weight]):
                name = f"the weight {getattr(weight, 'path', None) or weight.name}"
                raise self._error(name, math.nan, (0, self._steps - 1))

    def _error(self, name: str, value: float, batches: tuple[int, int] | None) -> NotFiniteError:
        elapsed = time.perf_counter() - self._clock.epoch_began
        return NotFiniteError(name, value, epoch=self._epoch, batches=batches, elapsed_s=elapsed)

    def _show(self, done: float, logs: Logs) -> None:
        values = " ".join(
            f"{name} {logs[name]:.4f}" for name in ("loss", "accuracy") if name in logs
        )
        watched = f" {self._monitor} {logs[self._monitor]:.4f}" if self._monitor in logs else ""
        epoch = min(math.ceil(done), self._epochs)
        pace = self._clock.pace.words(done, time.perf_counter())
        self._emit(
            Progress(
                label="training",
                done=done,
                total=self._epochs,
                detail=f"epoch {epoch}/{self._epochs} {values}{watched} {pace}".rstrip(),
            )
        )


def _losses(logs: Logs) -> Iterator[tuple[str, float]]:
    """The loss first; models with several have d_loss, head_loss, and so on."""
    names = [name for name in logs if name.endswith("loss")]
    for name in sorted(names, key=len):
        yield name, float(logs[name])


def _batches_a_call(model: Any) -> int:
    several = getattr(model, "steps_per_execution", None)
    if several is None:  # tf_keras
        several = getattr(model, "_steps_per_execution", None) or 1
    return int(several.numpy() if hasattr(several, "numpy") else several)
