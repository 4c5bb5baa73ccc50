"""The variables as they were just before the batch that spoils them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mlflow_tfconv.steps.train.variables import variable_groups

_MOST_COPIES = 8


class Catch(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Keeps the variables before every batch of a window, and ends the training at the bad one."""

    def __init__(self, epoch: int, first: int, last: int) -> None:
        super().__init__()
        self._epoch, self._first, self._last = epoch, first, last
        # All variables of a large window are not copied for each of its batches.
        self._keeps = last - first < _MOST_COPIES
        self._at = -1
        self._before: Sequence[np.ndarray[Any, Any]] = ()
        #: The batch, once it is found.
        self.batch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remembers the epoch."""
        del logs  # Keras passes it
        self._at = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keeps the variables."""
        del logs  # Keras passes it
        if self._keeps and self._at == self._epoch and batch >= self._first:
            self._before = [variable.numpy() for variable in _variables(self.model)]

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Looks at the losses and at all variables."""
        if self._at != self._epoch or batch < self._first:
            return
        losses = [float(v) for name, v in (logs or {}).items() if name.endswith("loss")]
        if not all(map(math.isfinite, losses)) or not all_finite(_variables(self.model)):
            self.batch = batch
            raise CaughtError
        if batch >= self._last:
            raise CaughtError

    @property
    def kept(self) -> bool:
        """Whether the variables before the batch are there."""
        return self._keeps

    def bring_back(self) -> None:
        """Puts the variables back to before the batch."""
        for variable, value in zip(_variables(self.model), self._before, strict=True):
            variable.assign(value)


class CaughtError(Exception):
    """Raised when there is no need to train on."""


def all_finite(variables: Sequence[Any]) -> bool:
    """Whether all of them are numbers."""
    floats = [v for v in variables if tf.as_dtype(v.dtype).is_floating]
    finite = [tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(v))) for v in floats]
    return bool(tf.reduce_all(finite)) if finite else True


def _variables(model: Any) -> list[Any]:
    groups = variable_groups(model)
    return [variable for name, group in groups.items() if name != "metrics" for variable in group]
