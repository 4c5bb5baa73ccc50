"""A model is trained by the user's own loop, `train_fn` of `steps/train.py`, an epoch a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.callbacks.keep_state import KeepState
from mlflow_tfconv.steps.train.epoch import Epoch, Means
from mlflow_tfconv.steps.train.functions import FILE
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import is_compiled
from mlflow_tfconv.steps.train.spans import Span, spans
from mlflow_tfconv.steps.train.stream import evaluation_stream, on_device, training_stream


def train_with_own_loop(model: Any, job: TrainingJob, callbacks: Any, keep: KeepState) -> None:
    """Calls `train_fn` for each epoch that is left.

    What it yields becomes the logs of the callbacks, which do the rest: the best epoch, early
    stopping, the backup, the logs.

    Args:
        model: Made by `model_fn`; compiled or not.
        job: The data, and how to train.
        callbacks: A `callback_list`, `keep` included.
        keep: Keeps the state; has the one that was brought back.

    Raises:
        ConfigError: `train_fn` is no generator, or gives no metrics.
    """
    model.stop_training = False
    if not hasattr(model, "optimizer"):
        model.optimizer = None  # one that is not compiled: Keras' own callbacks look for it
    state = keep.state
    callbacks.on_train_begin()
    for span in spans(job, state):
        callbacks.going_on(span.skip, span.steps)
        loop = _Loop(model, job, callbacks, span)
        for number in range(span.first, span.last):
            callbacks.on_epoch_begin(number)
            means = Means.from_bytes(state.loop if state and span.skip else b"")
            keep.loop_state = means.to_bytes
            callbacks.on_epoch_end(number, loop.run(number, means))
            if model.stop_training:
                callbacks.finish()
                return
    callbacks.finish()


class _Loop:
    """Runs the epochs of a span on one stream."""

    def __init__(self, model: Any, job: TrainingJob, callbacks: Any, span: Span) -> None:
        self._model, self._job, self._callbacks, self._span = model, job, callbacks, span
        self._stream = iter(on_device(training_stream(job, span), job))
        self._validation = (
            on_device(evaluation_stream(job, "validation"), job) if job.validates else None
        )

    def run(self, number: int, means: Means) -> dict[str, float]:
        """One epoch; gives its metrics."""
        epoch = Epoch(
            number=number,
            validation=self._validation,
            source=islice(self._stream, self._span.steps),
            begun=self._callbacks.on_train_batch_begin,
        )
        last = self._driven(epoch, means)
        for _ in epoch.source:  # it has left the epoch early; the next one begins at its begin
            pass
        logs = {**means.values(), **{name: float(value) for name, value in last.items()}}
        if not logs:
            raise _told_nothing(last)
        return {**logs, **self._validated(logs)}

    def _driven(self, epoch: Epoch, means: Means) -> Mapping[str, Any]:
        """Runs it to its end, or until a callback stops it; gives what it returns."""
        running = self._job.functions.train_fn(self._model, epoch)  # type: ignore[misc]
        if not isinstance(running, Iterator):
            raise _no_generator(running)
        while True:
            try:
                told = next(running)
            except StopIteration as end:
                return end.value or {}
            if not isinstance(told, Mapping):
                raise _told_nothing(told)
            self._callbacks.on_train_batch_end(max(epoch.steps - 1, 0), means.add(told))
            if self._model.stop_training:
                running.close()  # type: ignore[attr-defined]  # of a generator
                return {}

    def _validated(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Of a compiled model, when the loop has not said anything itself."""
        told = any(name.startswith("val_") for name in logs)
        if self._validation is None or told or not is_compiled(self._model):
            return {}
        values = self._model.evaluate(self._validation, return_dict=True, verbose=0)
        return {f"val_{name}": float(value) for name, value in values.items()}


_EXAMPLE = (
    "def train_fn(model, epoch):\n    for features, label in epoch.batches:\n"
    '        yield {"loss": train_step(model, features, label)}'
)


def _no_generator(received: object) -> ConfigError:
    return ConfigError(
        f"train_fn in {FILE} is no generator.",
        received=type(received).__name__,
        expected=_EXAMPLE,
        fix="`yield` the metrics of each batch; `return` those of the whole epoch, if any.",
    )


def _told_nothing(received: object) -> ConfigError:
    return ConfigError(
        f"train_fn in {FILE} does not tell metrics.",
        received=repr(received)[:100],
        expected=_EXAMPLE,
        fix="`yield` a dict of metric name to number after each batch.",
    )
