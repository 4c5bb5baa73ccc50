"""A model of Keras 3 or tf_keras is trained by its own `fit`."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.steps.train.callbacks.keep_state import KeepState
from mlflow_tfconv.steps.train.executions import stay_within_epochs
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import library_of
from mlflow_tfconv.steps.train.spans import spans
from mlflow_tfconv.steps.train.stream import evaluation_stream, on_device, training_stream


def train_with_keras(model: Any, job: TrainingJob, callbacks: Any, keep: KeepState) -> None:
    """Trains on what is left.

    Args:
        model: Compiled.
        job: The data, and how to train.
        callbacks: A `callback_list`, `keep` included.
        keep: Keeps the state; has the one that was brought back.
    """
    if library_of(model) == "keras" and model.steps_per_execution > 1:
        stay_within_epochs(model, callbacks)
    validation = on_device(evaluation_stream(job, "validation"), job) if job.validates else None
    left = list(spans(job, keep.state))
    if not left:
        callbacks.on_train_begin()
    for span in left:
        callbacks.going_on(span.skip, span.steps)
        model.fit(
            on_device(training_stream(job, span), job),
            steps_per_epoch=span.steps,
            validation_data=validation,
            initial_epoch=span.first,
            epochs=span.last,
            callbacks=callbacks,
            shuffle=False,  # the stream is; Keras warns otherwise
            verbose=0,
        )
        if model.stop_training:
            break
        # At its end `fit` puts averages in the place of weights, if the optimizer keeps them.
        keep.restore_weights()
    callbacks.finish()
