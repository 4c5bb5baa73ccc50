"""A training once more from its last kept state: nothing is kept, and nobody told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlflow_tfconv.steps.train.backup import Backup
from mlflow_tfconv.steps.train.callback_list import callback_list
from mlflow_tfconv.steps.train.callback_state import restore_random_states
from mlflow_tfconv.steps.train.callbacks.best_epoch import BestEpoch
from mlflow_tfconv.steps.train.callbacks.keep_state import KeepState
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.keras_loop import train_with_keras
from mlflow_tfconv.steps.train.libraries import build
from mlflow_tfconv.steps.train.own_loop import train_with_own_loop


def repeat(model: Any, job: TrainingJob, callbacks: Sequence[Any]) -> None:
    """Trains until a callback raises what ends it.

    Args:
        model: Made anew, ready to be trained.
        job: The data, and how to train.
        callbacks: Those that matter for it.
    """
    backup = Backup(job.resume, job.logs)
    state = backup.load()
    if getattr(model, "optimizer", None) is not None:
        build(model.optimizer, model.trainable_variables)
    if state is not None:
        backup.restore_variables(model, state.epochs, state.steps)
        restore_random_states(state.random_states)
    keep = KeepState(job, (), BestEpoch(job.monitor.best, "min"))  # not among the callbacks
    keep.state = state
    called = callback_list(model, callbacks, epochs=job.config.epochs, steps=job.steps_per_epoch)
    train = train_with_keras if job.functions.train_fn is None else train_with_own_loop
    train(model, job, called, keep)
