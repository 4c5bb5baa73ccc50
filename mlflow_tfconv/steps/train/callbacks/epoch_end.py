"""Keeps the state after every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import keras

from mlflow_tfconv.engine.events import Emit, Metric
from mlflow_tfconv.steps.train.backup import (
    Backup,
    TrainingState,
    changed_attributes,
    plain_attributes,
    random_states,
    restore_attributes,
    restore_random_states,
)
from mlflow_tfconv.steps.train.callbacks.best_epoch import BestEpoch


class EpochEnd(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Keeps the state after every epoch and then logs its metrics; brings a state back at the start.

    To be the last callback: at the start the others' `on_train_begin` would reset what it brings
    back, at the end of an epoch it keeps what the others have decided.
    """

    def __init__(self, backup: Backup, emit: Emit, others: Sequence[Any], best: BestEpoch) -> None:
        super().__init__()
        self._backup, self._emit = backup, emit
        self._others, self._best = others, best
        self._before: list[Mapping[str, bytes]] = []
        self._metrics: tuple[Metric, ...] = ()
        self.state: TrainingState | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Brings the state back."""
        del logs  # Keras passes it
        self._before = [plain_attributes(callback) for callback in self._others]
        if self.state is None:
            return
        restore_attributes(self._others, self.state.callbacks)
        restore_random_states(self.state.random_states)
        self._metrics = self.state.metrics

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keeps the state; what was logged is in it, so no epoch is logged twice."""
        values = {k: float(v) for k, v in (logs or {}).items() if isinstance(v, Real)}
        new = [Metric(name=name, value=value, step=epoch + 1) for name, value in values.items()]
        self._metrics = (*self._metrics, *new)
        state = TrainingState(
            epochs=epoch + 1,
            best_epoch=self._best.best_epoch + 1,
            stopped=bool(self.model.stop_training),
            metrics=self._metrics,
            callbacks=changed_attributes(self._others, self._before),
            random_states=random_states(),
            log_sizes=self._backup.log_sizes(),
        )
        self._backup.save(self.model, state)
        self.state = state
        for metric in new:
            self._emit(metric)
