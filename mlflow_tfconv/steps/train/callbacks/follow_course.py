"""The learning rate follows its course, and is logged."""

from __future__ import annotations

from typing import Any

import keras

from mlflow_tfconv.steps.train.learning_rate import Course, rate_of, set_rate

#: Setting a rate costs about as much as a small training step: it is done so often in a training.
_MOST_CHANGES = 10_000


class FollowCourse(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Sets the learning rate before training steps.

    The rate hangs on the number of finished steps alone: after a restart it is what it would have
    been.
    """

    def __init__(self, course: Course, *, epochs: int, steps: int) -> None:
        super().__init__()
        self._course, self._steps = course, steps
        self._stride = max(1, epochs * steps // _MOST_CHANGES)
        self._epoch, self._stair = 0, -1
        self._by_step = course.config.by == "step"

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Sets the rate of an epoch."""
        del logs  # Keras passes it
        self._epoch, self._stair = epoch, -1
        if not self._by_step:
            self._set(float(epoch))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate of a training step."""
        del logs  # Keras passes it
        stair = batch // self._stride
        if self._by_step and stair != self._stair:
            self._stair = stair
            self._set(self._epoch + stair * self._stride / self._steps)

    def _set(self, done: float) -> None:
        if self._course.changes_at(done):
            set_rate(self.model, self._course.rate(done))


class LogRate(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Puts the learning rate at the end of an epoch among its metrics."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keeps the value of a user's callback, which has changed the rate since, perhaps."""
        del epoch  # Keras passes it
        rate = rate_of(self.model)
        if logs is not None and rate is not None:
            logs.setdefault("learning_rate", rate)
