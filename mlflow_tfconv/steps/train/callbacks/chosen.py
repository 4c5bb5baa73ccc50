"""The callbacks that the config and the user ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.callbacks.follow_course import LogRate
from mlflow_tfconv.steps.train.callbacks.keep_models import KeepModels
from mlflow_tfconv.steps.train.callbacks.tensorboard_logs import Logs
from mlflow_tfconv.steps.train.callbacks.watch import Watch
from mlflow_tfconv.steps.train.callbacks.watch_memory import WatchMemory
from mlflow_tfconv.steps.train.functions import FILE
from mlflow_tfconv.steps.train.gradients import small_batch
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import library_of

_CHANGING = ("LearningRateScheduler", "ReduceLROnPlateau", "SwapEMAWeights")


def callbacks_of(
    job: TrainingJob, model: Any, during: Sequence[keras.callbacks.Callback]
) -> list[Any]:
    """The user's own first, since the others may watch a metric that one of them adds.

    Args:
        job: What is asked for.
        model: What is trained, of Keras 3 or tf_keras.
        during: What changes the model while it is trained.
    """
    return [
        *_users_callbacks(job, model),
        *during,
        LogRate(),
        WatchMemory(job.emit),
        Watch(job),
        *_early_stopping(job, model),
        *_slower_on_plateau(job, model),
        Logs(job.logs, job.config.tensorboard, example=lambda: small_batch(job), emit=job.emit),
    ]


def callbacks_of_keras(job: TrainingJob, model: Any) -> list[Any]:
    """Those of the user's that are Keras' own and change the training, and do nothing else."""
    return [one for one in _users_callbacks(job, model) if type(one).__name__ in _CHANGING]


def kept_models(job: TrainingJob, best: Any) -> Iterator[keras.callbacks.Callback]:
    """What keeps models of earlier epochs, if it is asked for; to come after `best`."""
    asked = job.config.checkpoints
    if asked is not None:
        yield KeepModels(job.workdir / "checkpoints", asked, best=best, emit=job.emit)


def _users_callbacks(job: TrainingJob, model: Any) -> list[Any]:
    make, library = job.functions.callbacks_fn, library_of(model)
    found = list(make() or ()) if make else []
    for callback in found:
        if library_of(callback) != library:
            name = "Keras 3" if library == "keras" else "tf_keras, as the model is"
            raise ConfigError(
                f"callbacks_fn in {FILE} gives something that is no callback of {name}.",
                received=f"{type(callback).__module__}.{type(callback).__name__}",
                expected=f"a list of {library}.callbacks.Callback",
                fix=f"Derive it from {library}.callbacks.Callback.",
            )
    return found


def _early_stopping(job: TrainingJob, model: Any) -> Iterator[keras.callbacks.Callback]:
    asked = job.config.early_stopping
    if asked is None:
        return
    monitor = job.monitor.stopping
    yield keras.callbacks.EarlyStopping(
        monitor=monitor,
        mode=job.monitor.mode(monitor, model),
        patience=asked.patience,
        min_delta=asked.min_delta,
    )


def _slower_on_plateau(job: TrainingJob, model: Any) -> Iterator[keras.callbacks.Callback]:
    asked = job.config.reduce_on_plateau
    if asked is None:
        return
    monitor = job.monitor.slowing
    yield keras.callbacks.ReduceLROnPlateau(
        monitor=monitor,
        mode=job.monitor.mode(monitor, model),
        factor=asked.factor,
        patience=asked.patience,
        min_delta=asked.min_delta,
        cooldown=asked.cooldown,
        min_lr=asked.min_rate,
    )
