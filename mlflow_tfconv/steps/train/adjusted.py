"""A compiled model made ready for training as the config says: its rates, and what is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.callbacks.follow_course import FollowCourse
from mlflow_tfconv.steps.train.callbacks.unfreeze import Unfreeze
from mlflow_tfconv.steps.train.callbacks_config import LearningRateConfig
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.learning_rate import Course, optimizer_of
from mlflow_tfconv.steps.train.start_from import base_model
from mlflow_tfconv.steps.train.transfer import frozen, initial_rate, say_base, with_layer_rates
from mlflow_tfconv.steps.train.transfer_config import StartFromConfig


def based_on(job: TrainingJob) -> dict[str, Any]:
    """The argument `base` of `model_fn`: the model to start from; nothing without one.

    Raises:
        ConfigError: It is not there, or `params` has a `base` too.
        ConversionError: It can't be read, or is no model of Keras.
    """
    config = job.config.start_from
    if config is None:
        return {}
    if "base" in job.config.params:
        raise ConfigError(
            "train.params has a `base`, which is the model of `start_from`.",
            received=f"params.base: {job.config.params['base']}",
            fix="Call the parameter something else.",
        )
    asked = config if isinstance(config, StartFromConfig) else StartFromConfig(path=config)
    reading = base_model(asked, job.context.recipe_root or Path())
    say_base(reading, job.emit)
    return {"base": reading.model}


def adjusted(model: Any, job: TrainingJob, emit: Emit) -> list[keras.callbacks.Callback]:
    """Sets rates and freezes layers as the config says.

    Args:
        model: Built and compiled; changed.
        job: What is asked for.
        emit: Takes what was done.

    Returns:
        What has to be done while it is trained.

    Raises:
        ConfigError: A pattern matches no layer, or the optimizer can't do it.
    """
    config = job.config
    rate = initial_rate(model, config.learning_rate)
    kept = frozen(model, config.freeze, later=config.unfreeze_after is not None, emit=emit)
    with_layer_rates(model, config.learning_rates, rate, emit)
    callbacks = list(_course(model, job, rate, emit))
    if kept is not None and config.unfreeze_after is not None:
        callbacks.append(Unfreeze(kept, after=config.unfreeze_after, emit=emit))
    return callbacks


def _course(model: Any, job: TrainingJob, rate: float | None, emit: Emit) -> Iterator[FollowCourse]:
    asked = job.config.learning_rate
    if not isinstance(asked, LearningRateConfig):
        return
    if rate is None:
        raise ConfigError(
            "train.learning_rate needs a model with one optimizer.",
            received=f"optimizer: {type(optimizer_of(model)).__name__}",
            expected="an optimizer compiled with a number as its learning rate",
            fix="Set the rates in steps/train.py, and take `learning_rate` out.",
        )
    epochs, steps = job.config.epochs, job.steps_per_epoch
    tick = 1 / steps if asked.by == "step" else 1.0
    course = Course(config=asked, initial=rate, epochs=epochs, tick=tick)
    if course.warmup >= epochs:
        text = f"The warm-up of {course.warmup:g} epochs lasts as long as the training or longer."
        emit(Message(text=text, level="warning"))
    yield FollowCourse(course, epochs=epochs, steps=steps)
