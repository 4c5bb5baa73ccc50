"""Trains a model from the start, or from where a killed training was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.steps.train.backup import Backup, TrainingState
from mlflow_tfconv.steps.train.callback_list import callback_list
from mlflow_tfconv.steps.train.callbacks.best_epoch import BestEpoch
from mlflow_tfconv.steps.train.callbacks.chosen import callbacks_of, kept_models
from mlflow_tfconv.steps.train.callbacks.keep_state import KeepState, KeepStateOften
from mlflow_tfconv.steps.train.callbacks.measure_speed import MeasureSpeed
from mlflow_tfconv.steps.train.callbacks.watch_memory import PREFIX
from mlflow_tfconv.steps.train.evaluation import tested
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.keras_loop import train_with_keras
from mlflow_tfconv.steps.train.libraries import build, library_of
from mlflow_tfconv.steps.train.own_loop import train_with_own_loop
from mlflow_tfconv.steps.train.saving import save
from mlflow_tfconv.steps.train.settings import in_force
from mlflow_tfconv.steps.train.training import Training


def trained(model: Any, job: TrainingJob, during: Sequence[keras.callbacks.Callback]) -> Training:
    """Trains what is left to train, and leaves the weights of the best epoch in the model's file.

    Args:
        model: Ready to be trained.
        job: The data, and how to train.
        during: What changes the model while it is trained.
    """
    backup = Backup(job.resume, job.logs)
    state = _resumed(model, backup, job)
    others, keep = _callbacks(model, job, during, state)
    callbacks = callback_list(
        model, [*others, keep], epochs=job.config.epochs, steps=job.steps_per_epoch
    )
    train = train_with_keras if job.functions.train_fn is None else train_with_own_loop
    train(model, job, callbacks, keep)
    assert keep.state is not None  # noqa: S101 (at least one epoch was trained, now or before)
    _take_best(model, backup, keep.state)
    values = _values(keep.state)
    return Training(
        model=model,
        path=save(model, job),
        history={k: v for k, v in values.items() if not k.startswith(PREFIX)},
        best_epoch=keep.state.best_epoch,
        monitor=job.monitor.best,
        test=tested(model, job),
        memory={k: v for k, v in values.items() if k.startswith(PREFIX) and k.endswith("_mb")},
        in_force=in_force(model, job),
    )


def _resumed(model: Any, backup: Backup, job: TrainingJob) -> TrainingState | None:
    """Brings back what a killed training left; its metrics are said again, for a new run."""
    state = backup.load()
    if state is not None:
        _build_alike(model)
        if not backup.restore_variables(model, state.epochs, state.steps).weights:
            job.emit(Message(text="The model has changed: training starts anew.", level="warning"))
            backup.clear()
            state = None
    backup.restore_logs(state)
    if state is not None:
        batches = f" and {state.steps} batches" if state.steps else ""
        job.emit(Message(text=f"Training goes on after epoch {state.epochs}{batches}."))
        for metric in state.metrics:
            job.emit(metric)
    return state


def _build_alike(model: Any) -> None:
    """An optimizer of tf_keras does not tell which weights it had, so it gets all."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and library_of(model) == "tf_keras":
        build(optimizer, model.trainable_variables)


def _callbacks(
    model: Any,
    job: TrainingJob,
    during: Sequence[keras.callbacks.Callback],
    state: TrainingState | None,
) -> tuple[list[Any], KeepState]:
    speed = MeasureSpeed(job)
    if state is not None:
        speed.goes_on(state.epochs, state.steps)
    best = BestEpoch(job.monitor.best, job.monitor.mode(job.monitor.best, model))
    others = [
        *callbacks_of(job, model, during),
        speed,
        best,
        *kept_models(job, best),
        keras.callbacks.History(),
    ]
    kind = KeepState if job.config.backup_every_steps is None else KeepStateOften
    keep = kind(job, others, best)
    keep.state = state
    return others, keep


def _take_best(model: Any, backup: Backup, state: TrainingState) -> None:
    backup.restore_variables(model, state.best_epoch)
    optimizer: Any = getattr(model, "optimizer", None)
    if hasattr(optimizer, "finalize_variable_values"):
        optimizer.finalize_variable_values(model.trainable_weights)


def _values(state: TrainingState) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    for metric in state.metrics:
        found.setdefault(metric.name, []).append(metric.value)
    return {name: tuple(values) for name, values in found.items()}
