"""Tells how far training is."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import keras

from mlflow_tfconv.engine.events import Emit, Progress
from mlflow_tfconv.errors import StepError
from mlflow_tfconv.steps.train.monitor import no_such_metric

_SECONDS_BETWEEN_BARS = 0.25


class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Tells how far training is, and ends it when its loss is no longer a number."""

    def __init__(self, emit: Emit, *, epochs: int, steps: int, monitor: str) -> None:
        super().__init__()
        self._emit = emit
        self._epochs, self._steps, self._monitor = epochs, steps, monitor
        self._epoch = 0
        self._next_bar = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remembers the epoch."""
        del logs  # Keras passes it
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Looks at the loss, and a few times a second moves the bar."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise _not_finite("loss", loss, f"epoch {self._epoch + 1}, batch {batch + 1}")
        now = time.perf_counter()
        if now >= self._next_bar:
            self._next_bar = now + _SECONDS_BETWEEN_BARS
            self._show(self._epoch + (batch + 1) / self._steps, logs or {})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Looks at the metric to monitor."""
        logs = logs or {}
        if self._monitor not in logs:
            raise no_such_metric(self._monitor, list(logs))
        if math.isnan(logs[self._monitor]):
            raise _not_finite(self._monitor, logs[self._monitor], f"epoch {epoch + 1}")
        self._show(epoch + 1, logs)

    def _show(self, done: float, logs: Mapping[str, float]) -> None:
        values = " ".join(
            f"{name} {logs[name]:.4f}" for name in ("loss", "accuracy") if name in logs
        )
        watched = f" {self._monitor} {logs[self._monitor]:.4f}" if self._monitor in logs else ""
        epoch = min(math.ceil(done), self._epochs)
        self._emit(
            Progress(
                label="training",
                done=done,
                total=self._epochs,
                detail=f"epoch {epoch}/{self._epochs} {values}{watched}",
            )
        )


def _not_finite(name: str, value: float, where: str) -> StepError:
    return StepError(
        f"Training was stopped in {where}: {name} is no longer a number.",
        received=f"{name} = {value}",
        expected="a finite number",
        fix="Lower the learning rate or clip gradients (clipnorm=1.0) in steps/train.py, and look "
        "for NaN, Inf or unscaled values in the features and labels.",
    )
