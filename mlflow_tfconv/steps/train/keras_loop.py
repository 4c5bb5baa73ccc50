"""A Keras 3 model is trained by its own `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.steps.train.backup import TrainingState
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.stream import training_stream


def train_with_keras(
    model: keras.Model, job: TrainingJob, callbacks: Sequence[Any], state: TrainingState | None
) -> None:
    """Trains the epochs after `state`, or all of them."""
    first = state.epochs if state else 0
    model.fit(
        training_stream(job, first_epoch=first),
        steps_per_epoch=job.steps_per_epoch,
        validation_data=_validation(job),
        initial_epoch=first,
        epochs=first if state and state.stopped else job.config.epochs,
        callbacks=list(callbacks),
        shuffle=False,  # the stream is; Keras warns otherwise
        verbose=0,
    )


def _validation(job: TrainingJob) -> tf.data.Dataset | None:
    if not job.validates:
        return None
    return read_dataset(job.manifest, "validation", job.batch_size)
