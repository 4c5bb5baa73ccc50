"""TensorBoard's logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.steps.train.callbacks_config import TensorBoardConfig
from mlflow_tfconv.steps.train.gradients import Example, gradients_of


class Logs(keras.callbacks.TensorBoard):  # type: ignore[misc]  # keras carries no types
    """TensorBoard's logs, on disk at the end of every epoch and not some time later.

    Histograms are of all weights, and of the gradients of the loss on a small batch that stays the
    same, so that epochs can be compared; dropout is off for it, and no state of the model changes.
    """

    def __init__(
        self,
        folder: Path,
        config: TensorBoardConfig,
        *,
        example: Callable[[], Example],
        emit: Emit,
    ) -> None:
        """Makes the callback.

        Args:
            folder: Of the logs.
            config: What is logged.
            example: Gives the small batch; called once, when it is needed.
            emit: Takes what is left out.
        """
        profiled = config.profile_steps
        super().__init__(str(folder), profile_batch=profiled or 0)
        self._every, self._profiles = config.histograms_every, profiled is not None
        self._example, self._emit = example, emit
        self._batch: Example | None = None
        # Keras asks whether another batch may begin before this one was told.
        self.async_safe = not self._profiles

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keras makes summaries of every batch here, and throws them away: only for a profile."""
        if self._profiles:
            super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes, and flushes."""
        super().on_epoch_end(epoch, logs)
        if self._every and epoch % self._every == 0:
            self._write_histograms(epoch)
        for writer in self._writers.values():
            writer.flush()

    def _write_histograms(self, epoch: int) -> None:
        with self._train_writer.as_default():
            for weight in self.model.weights:
                tf.summary.histogram(f"weights/{_name(weight)}", _values(weight), step=epoch)
            for name, gradient in self._gradients().items():
                tf.summary.histogram(f"gradients/{name}", gradient, step=epoch)

    def _gradients(self) -> dict[str, Any]:
        first = self._batch is None
        self._batch = self._batch or self._example()
        found = gradients_of(self.model, self._batch)
        if found is None and first:
            text = "TensorBoard gets no histograms of gradients: this model has a training step of "
            text += "its own, and only that knows its loss. Those of weights are there."
            self._emit(Message(text=text, level="warning"))
        return {_name(weight): gradient for weight, gradient in found or ()}


def _name(weight: Any) -> str:
    return str(getattr(weight, "path", None) or weight.name).replace(":", "_")


def _values(weight: Any) -> Any:
    """Histograms are of doubles, which texts and states of generators are not."""
    tensor = tf.convert_to_tensor(weight)
    return tf.cast(tensor, tf.float64) if tensor.dtype != tf.string else tf.zeros([0])
