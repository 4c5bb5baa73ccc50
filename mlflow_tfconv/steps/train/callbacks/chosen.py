"""The callbacks that the config and the user ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.callbacks.follow_course import LogRate
from mlflow_tfconv.steps.train.callbacks.tensorboard_logs import Logs
from mlflow_tfconv.steps.train.callbacks.watch import Watch
from mlflow_tfconv.steps.train.callbacks.watch_memory import WatchMemory
from mlflow_tfconv.steps.train.functions import FILE
from mlflow_tfconv.steps.train.gradients import small_batch
from mlflow_tfconv.steps.train.job import TrainingJob


def callbacks_of(
    job: TrainingJob, during: Sequence[keras.callbacks.Callback]
) -> list[keras.callbacks.Callback]:
    """The user's own first, since the others may watch a metric that one of them adds.

    Args:
        job: What is asked for.
        during: What changes the model while it is trained.
    """
    return [
        *_users_callbacks(job),
        *during,
        LogRate(),
        WatchMemory(job.emit),
        Watch(
            job.emit,
            epochs=job.config.epochs,
            steps=job.steps_per_epoch,
            monitor=job.monitor.best,
        ),
        *_early_stopping(job),
        *_slower_on_plateau(job),
        Logs(job.logs, job.config.tensorboard, example=lambda: small_batch(job), emit=job.emit),
    ]


def _users_callbacks(job: TrainingJob) -> list[keras.callbacks.Callback]:
    make = job.functions.callbacks_fn
    found = list(make() or ()) if make else []
    for callback in found:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ConfigError(
                f"callbacks_fn in {FILE} gives something that is no callback of Keras 3.",
                received=f"{type(callback).__module__}.{type(callback).__name__}",
                expected="a list of keras.callbacks.Callback",
                fix="Derive it from keras.callbacks.Callback.",
            )
    return found


def _early_stopping(job: TrainingJob) -> Iterator[keras.callbacks.Callback]:
    asked = job.config.early_stopping
    if asked is None:
        return
    monitor = job.monitor.stopping
    yield keras.callbacks.EarlyStopping(
        monitor=monitor,
        mode=job.config.mode if monitor == job.monitor.best else "auto",
        patience=asked.patience,
        min_delta=asked.min_delta,
    )


def _slower_on_plateau(job: TrainingJob) -> Iterator[keras.callbacks.Callback]:
    asked = job.config.reduce_on_plateau
    if asked is None:
        return
    monitor = job.monitor.slowing
    yield keras.callbacks.ReduceLROnPlateau(
        monitor=monitor,
        mode=job.config.mode if monitor == job.monitor.best else "auto",
        factor=asked.factor,
        patience=asked.patience,
        min_delta=asked.min_delta,
        cooldown=asked.cooldown,
        min_lr=asked.min_rate,
    )
