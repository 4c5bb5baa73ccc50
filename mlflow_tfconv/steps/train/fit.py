"""Trains the model of `steps/train.py`, from the start or from the last finished epoch."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.device import apply_to_tensorflow, tensorflow_in_force
from mlflow_tfconv.engine.events import ArtifactFile, Message, Param
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps.train.backup import Backup, TrainingState
from mlflow_tfconv.steps.train.callbacks.best_epoch import BestEpoch
from mlflow_tfconv.steps.train.callbacks.chosen import callbacks_of
from mlflow_tfconv.steps.train.callbacks.epoch_end import EpochEnd
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.evaluation import tested
from mlflow_tfconv.steps.train.failures import told_in_a_line
from mlflow_tfconv.steps.train.functions import train_functions
from mlflow_tfconv.steps.train.job import TrainingJob, training_job
from mlflow_tfconv.steps.train.keras_loop import train_with_keras
from mlflow_tfconv.steps.train.model import check_fit, made_model
from mlflow_tfconv.steps.train.out_of_memory import enough_memory
from mlflow_tfconv.steps.train.stream import first_examples
from mlflow_tfconv.steps.train.training import Training

MODEL_FILE = "model.keras"


def fit(source: Dataset, workdir: Path, context: StepContext, config: TrainConfig) -> Training:
    """Trains, and writes the model and TensorBoard's logs into `workdir`.

    Args:
        source: The examples.
        workdir: Empty, or what a killed call has left.
        context: The surroundings.
        config: How to train; `batch_size` is a number here, and `trials` is not looked at.

    Raises:
        ConfigError: `steps/train.py` or the config can't be used.
        DataError: There is nothing to train on, or the model does not fit the data.
        StepError: The loss is no longer a number, or TensorFlow fails.
        OutOfMemoryError: Training needs more memory than there is.
    """
    with _on_device(context), enough_memory(config.batch_size, context.device):
        keras.utils.set_random_seed(config.seed)
        job = training_job(source, workdir, context, config, train_functions(context.recipe_root))
        model = made_model(job)
        names = check_fit(model, *first_examples(job), job.schema)
        if names is not None and job.functions.callbacks_fn is None:  # those may add metrics
            job.monitor.check(names)
        _say_params(model, job)
        job.monitor.say(job.emit)
        with told_in_a_line():
            training = _trained(model, job)
        context.emit(ArtifactFile(path=job.logs, folder=job.logs.name))
        Backup(job.resume, job.logs).clear()
        return training


def _trained(model: keras.Model, job: TrainingJob) -> Training:
    """Trains what is left to train, and puts the weights of the best epoch into the model."""
    backup = Backup(job.resume, job.logs)
    state = _resumed(model, backup, job)
    callbacks, end = _callbacks(job, backup)
    end.state = state
    train_with_keras(model, job, callbacks, state)
    assert end.state is not None  # noqa: S101 (at least one epoch was trained, now or before)
    best = end.state.best_epoch
    backup.restore_variables(model, best)
    if model.optimizer is not None:
        model.optimizer.finalize_variable_values(model.trainable_weights)
    path = job.workdir / MODEL_FILE
    model.save(path)
    return Training(
        model=model,
        path=path,
        history=_history(end.state),
        best_epoch=best,
        monitor=job.monitor.best,
        test=tested(model, job),
    )


def _resumed(model: keras.Model, backup: Backup, job: TrainingJob) -> TrainingState | None:
    """Brings back what a killed training left; its metrics are said again, for a new run."""
    state = backup.load()
    if state is not None and not backup.restore_variables(model, state.epochs):
        job.emit(Message(text="The model has changed: training starts anew.", level="warning"))
        backup.clear()
        state = None
    backup.restore_logs(state)
    if state is not None:
        job.emit(Message(text=f"Training goes on after epoch {state.epochs}."))
        for metric in state.metrics:
            job.emit(metric)
    return state


def _callbacks(job: TrainingJob, backup: Backup) -> tuple[list[keras.callbacks.Callback], EpochEnd]:
    best = BestEpoch(job.monitor.best, job.config.mode)
    others = [
        *callbacks_of(job),
        best,
        keras.callbacks.History(),
    ]
    end = EpochEnd(backup, job.emit, others, best)
    return [*others, end], end


@contextlib.contextmanager
def _on_device(context: StepContext) -> Iterator[None]:
    tf.get_logger().setLevel(logging.ERROR)
    place = apply_to_tensorflow(context.device)
    in_force = tensorflow_in_force(context.device)
    context.emit(Message(text=in_force.text))
    for name, value in in_force.params.items():
        context.emit(Param(name=name, value=value))
    # On a GPU TensorFlow itself knows best what belongs there.
    with tf.device(place if context.device.kind == "cpu" else None):
        yield


def _say_params(model: keras.Model, job: TrainingJob) -> None:
    config = job.config
    values: dict[str, Any] = {
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "seed": config.seed,
        "optimizer": type(model.optimizer).__name__,
        "parameters": model.count_params(),
        **{f"params.{name}": value for name, value in config.params.items()},
    }
    for name, value in values.items():
        plain = value is None or isinstance(value, str | int | float | bool)
        job.emit(Param(name=name, value=value if plain else json.dumps(value)))


def _history(state: TrainingState) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    for metric in state.metrics:
        found.setdefault(metric.name, []).append(metric.value)
    return {name: tuple(values) for name, values in found.items()}
