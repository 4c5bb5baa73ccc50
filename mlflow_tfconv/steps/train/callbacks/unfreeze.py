"""Frozen layers are trained from a later epoch on."""

from __future__ import annotations

from typing import Any

import keras

from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.steps.train.frozen import Frozen, unfreeze


class Unfreeze(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Lets the frozen layers be trained after some epochs."""

    def __init__(self, frozen: Frozen, *, after: int, emit: Emit) -> None:
        super().__init__()
        self._frozen, self._after, self._emit = frozen, after, emit

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Unfreezes; what trains was compiled without these weights, and is made anew."""
        del logs  # Keras passes it
        # No attribute says whether it was done: another process would bring it back.
        if epoch < self._after or all(layer.trainable for layer in self._frozen.layers):
            return
        unfreeze(self.model, self._frozen)
        self.model.make_train_function(force=True)
        self._emit(Message(text=f"From epoch {epoch + 1} on the frozen layers are trained, too."))
