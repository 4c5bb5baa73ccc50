"""How many examples a second a training takes in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from mlflow_tfconv.steps.train.callbacks.watch_memory import PREFIX
from mlflow_tfconv.steps.train.job import TrainingJob

NAME = f"{PREFIX}examples_per_s"


@dataclass(slots=True)
class _Clock:
    """What is of this process alone, and not brought back in another."""

    began_s: float = 0.0
    ended_s: float | None = None
    skipped: Mapping[int, int] = field(default_factory=dict)


class MeasureSpeed(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Puts the examples a second of an epoch's training, validation left out, among its metrics."""

    def __init__(self, job: TrainingJob) -> None:
        super().__init__()
        self._job, self._clock = job, _Clock()

    def goes_on(self, epoch: int, after: int) -> None:
        """So many batches of an epoch were trained on before this process began."""
        self._clock.skipped = {epoch: after}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begins to measure."""
        del epoch, logs  # Keras passes them
        self._clock.began_s, self._clock.ended_s = time.perf_counter(), None

    def on_test_begin(self, logs: Any = None) -> None:
        """The validation begins, after the last batch."""
        del logs  # Keras passes it
        self._clock.ended_s = self._clock.ended_s or time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Logs."""
        elapsed_s = (self._clock.ended_s or time.perf_counter()) - self._clock.began_s
        skipped = self._clock.skipped.get(epoch, 0) * self._job.batch_size
        examples = self._job.counts["train"] - skipped
        if logs is not None and elapsed_s > 0:
            logs[NAME] = examples / elapsed_s
