"""Trains the model of `steps/train.py`, from the start or from the last finished epoch."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.damage import telling_damage
from mlflow_tfconv.data.few_arenas import use_few_arenas
from mlflow_tfconv.data.manifest import open_manifest
from mlflow_tfconv.device import apply_to_tensorflow, tensorflow_in_force
from mlflow_tfconv.engine.events import ArtifactFile, Message, Param, ignore
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps.train.adjusted import adjusted
from mlflow_tfconv.steps.train.callbacks.chosen import callbacks_of_keras
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.data_parallel import replicated
from mlflow_tfconv.steps.train.diagnosis.caught import Catch
from mlflow_tfconv.steps.train.diagnosis.explained import explained
from mlflow_tfconv.steps.train.diagnosis.not_finite import NotFiniteError
from mlflow_tfconv.steps.train.diagnosis.repeat import repeat
from mlflow_tfconv.steps.train.failures import told_in_a_line
from mlflow_tfconv.steps.train.functions import TrainFunctions, train_functions
from mlflow_tfconv.steps.train.job import TrainingJob, training_job
from mlflow_tfconv.steps.train.layer_paths import count_names_anew
from mlflow_tfconv.steps.train.libraries import library_of, tf_keras_if_used
from mlflow_tfconv.steps.train.model import check_fit, made_model
from mlflow_tfconv.steps.train.out_of_memory import enough_memory
from mlflow_tfconv.steps.train.saving import say_how_saved
from mlflow_tfconv.steps.train.settings import (
    draws_of_tf_keras,
    in_force,
    precision,
    seed_everything,
    set_over_compiled,
)
from mlflow_tfconv.steps.train.stream import first_examples
from mlflow_tfconv.steps.train.trained import trained
from mlflow_tfconv.steps.train.training import Training
from mlflow_tfconv.steps.train.weights import with_class_weights


def fit(
    source: Dataset,
    workdir: Path,
    context: StepContext,
    config: TrainConfig,
    more: Sequence[keras.callbacks.Callback] = (),
    *,
    functions: TrainFunctions | None = None,
) -> Training:
    """Trains, and writes the model and TensorBoard's logs into `workdir`.

    Args:
        source: The examples.
        workdir: Empty, or what a killed call has left. The states to go on from stay there, see
            `forget_states`.
        context: The surroundings.
        config: How to train; `batch_size` is a number here, and `trials` is not looked at.
        more: Callbacks of the caller's own.
        functions: The user's; by default those of `steps/train.py`.

    Raises:
        ConfigError: `steps/train.py` or the config can't be used.
        DataError: There is nothing to train on, a record is damaged, or the model does not fit the
            data.
        StepError: The loss is no longer a number, or TensorFlow fails.
        OutOfMemoryError: Training needs more memory than there is.
    """
    memory = enough_memory(config.batch_size, context.device)
    damage = telling_damage(open_manifest(source))
    with _on_device(context), memory, told_in_a_line(), damage:
        warning = seed_everything(config, own_process=context.own_process)
        if warning is not None:
            context.emit(Message(text=warning, level="warning"))
        if functions is None:
            functions = train_functions(context.recipe_root, needs_model=config.compile is None)
        job = with_class_weights(training_job(source, workdir, context, config, functions))
        with contextlib.suppress(_CameLateError), precision(config), draws_of_tf_keras(config):
            return _fitted(job, more)
        seed_everything(config, own_process=context.own_process)
        with precision(config), draws_of_tf_keras(config):
            return _fitted(job, more)


class _CameLateError(Exception):
    """Raised when tf_keras was imported while the model was made: it has settings of its own."""


def _fitted(job: TrainingJob, more: Sequence[keras.callbacks.Callback]) -> Training:
    model, names = _made(job)
    if names is not None and job.functions.callbacks_fn is None:  # those may add metrics
        job.monitor.check(names)
    during = [*adjusted(model, job, job.emit), *more]
    _say_params(model, job)
    job.monitor.say(job.emit)
    say_how_saved(model, job)
    try:
        training = trained(model, job, during)
    except NotFiniteError as error:
        raise explained(error, model, job, partial(_again, job)) from None
    job.emit(ArtifactFile(path=job.logs, folder=job.logs.name))
    return training


def _made(job: TrainingJob) -> tuple[Any, tuple[str, ...] | None]:
    """The model, built and set up, and the names of its metrics."""
    count_names_anew()
    known = tf_keras_if_used() is not None
    model = made_model(job)
    if not known and library_of(model) == "tf_keras":
        raise _CameLateError
    set_over_compiled(model, job)
    return model, check_fit(model, *first_examples(job), job.schema)


def _again(job: TrainingJob, catch: Catch) -> None:
    """Repeats the training, batch by batch, with those callbacks alone that change the model."""
    config = replace(job.config, steps_per_execution=1)
    job = replace(job, config=config, context=replace(job.context, emit=ignore))
    seed_everything(config, own_process=job.context.own_process)
    model, _ = _made(job)
    during = adjusted(model, job, ignore)
    repeat(model, job, [*callbacks_of_keras(job, model), *during, catch])


@contextlib.contextmanager
def _on_device(context: StepContext) -> Iterator[None]:
    tf.get_logger().setLevel(logging.ERROR)
    use_few_arenas()  # before TensorFlow starts its threads
    place = apply_to_tensorflow(context.device)
    in_force = tensorflow_in_force(context.device)
    context.emit(Message(text=in_force.text))
    for name, value in in_force.params.items():
        context.emit(Param(name=name, value=value))
    # On a GPU TensorFlow itself knows best what belongs there.
    on_cpu = tf.device(place if context.device.kind == "cpu" else None)
    with on_cpu, replicated(context.device, context.emit):
        yield


def _say_params(model: keras.Model, job: TrainingJob) -> None:
    config = job.config
    values: dict[str, Any] = {
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "seed": config.seed,
        "parameters": model.count_params(),
        **in_force(model, job),
        **{f"params.{name}": value for name, value in config.params.items()},
    }
    for name, value in values.items():
        plain = value is None or isinstance(value, str | int | float | bool)
        job.emit(Param(name=name, value=value if plain else json.dumps(value)))
