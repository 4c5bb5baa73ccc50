"""TensorBoard's logs."""

from __future__ import annotations

from collections.abc import Mapping

import keras


class Logs(keras.callbacks.TensorBoard):  # type: ignore[misc]  # keras carries no types
    """TensorBoard's logs, on disk at the end of every epoch and not some time later."""

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Does nothing: Keras makes summaries of every batch here, and throws them away."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes, and flushes."""
        super().on_epoch_end(epoch, logs)
        for writer in self._writers.values():
            writer.flush()
