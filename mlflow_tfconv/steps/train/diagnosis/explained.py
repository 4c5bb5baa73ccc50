"""Why a training was stopped: its batches are looked at, then it is repeated up to the bad one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.errors import StepError
from mlflow_tfconv.steps.train.diagnosis.caught import Catch, CaughtError, all_finite
from mlflow_tfconv.steps.train.diagnosis.cause import (
    Batch,
    Cause,
    cause_in_batch,
    cause_in_model,
    cause_in_step,
)
from mlflow_tfconv.steps.train.diagnosis.not_finite import NotFiniteError, where
from mlflow_tfconv.steps.train.gradients import has_own_step
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.spans import Span
from mlflow_tfconv.steps.train.stream import evaluation_stream, training_stream

#: An epoch that took longer up to the bad batch is not repeated.
_LONGEST_S = 600.0

#: Makes the model anew and trains it from the last kept state on, watched by a callback.
Again = Callable[[Catch], None]


def explained(error: NotFiniteError, model: Any, job: TrainingJob, again: Again) -> StepError:
    """The error with the reason, as far as that can be found out.

    Args:
        error: What was seen.
        model: As it is now: its weights are spoilt, most likely.
        job: The training.
        again: Repeats it.
    """
    job.emit(Message(text=f"{error.what} Looking for the cause ...", level="warning"))
    try:
        batches, cause = _Search(error, model, job, again).cause()
    except Exception as failure:  # noqa: BLE001 (the user's model is run in an unusual way)
        reason = f"{type(failure).__name__}: {' '.join(str(failure).split())[:200]}"
        batches, cause = error.batches, Cause(text=f"the cause was not found ({reason})", fix="")
    return StepError(
        f"Training was stopped in {where(error.epoch, batches)}: {error.name} is no longer a "
        f"number: {cause.text}.",
        received=f"{error.name} = {error.value}",
        expected="a finite number",
        fix=cause.fix or error.fix,
    )


class _Search:
    def __init__(self, error: NotFiniteError, model: Any, job: TrainingJob, again: Again) -> None:
        self._error, self._model, self._job, self._again = error, model, job, again

    def cause(self) -> tuple[tuple[int, int] | None, Cause]:
        """The batches that it may be, and why."""
        if self._error.batches is None:
            return None, self._in_validation()
        first, last = self._error.batches
        found = self._in_batches(self._earlier(first), last)
        if found is not None:
            return found
        if self._error.elapsed_s > _LONGEST_S:
            minutes = self._error.elapsed_s / 60
            text = "features and label are finite; the epoch is not repeated to find the layer, "
            text += f"since it took {minutes:.0f} minutes up to there"
            return self._error.batches, Cause(text=text, fix="")
        return self._repeated()

    def _in_batches(self, first: int, last: int) -> tuple[tuple[int, int], Cause] | None:
        for number, batch in enumerate(self._batches(first, last - first + 1), first):
            cause = cause_in_batch(batch)
            if cause is not None:
                return (number, number), cause
        return None

    def _batches(self, first: int, count: int) -> Iterator[Batch]:
        epoch = self._error.epoch
        span = Span(first=epoch, last=epoch + 1, skip=first, steps=count)
        return (self._named(batch) for batch in training_stream(self._job, span).take(count))

    def _named(self, batch: Any) -> Batch:
        features, label, weight = (*batch, None, None)[:3] if isinstance(batch, tuple) else (
            batch, None, None,
        )  # fmt: skip
        schema = self._job.schema
        return Batch(
            whole=batch,
            features=features,
            label=label,
            weight=weight,
            feature_names=tuple(schema.inputs),
            label_names=tuple(schema.labels),
        )

    def _in_validation(self) -> Cause:
        cause = None if all_finite(self._model.weights) else cause_in_step(self._model)
        if cause is None and self._job.validates:
            cause = self._in_stream(evaluation_stream(self._job, "validation"))
        return cause or Cause(text="its inputs and all weights are finite", fix="")

    def _in_stream(self, stream: Any) -> Cause | None:
        for number, batch in enumerate(stream, 1):
            named = self._named(batch)
            cause = cause_in_batch(named) or self._in_model(self._model, named, training=False)
            if cause is not None:
                text = f"in batch {number} of the split validation {cause.text}"
                return Cause(text=text.replace(" of this batch", ""), fix=cause.fix)
        return None

    def _repeated(self) -> tuple[tuple[int, int], Cause]:
        assert self._error.batches is not None  # noqa: S101 (see cause)
        first, last = self._error.batches
        catch = self._caught(self._earlier(first), last)
        if catch.batch is None:
            text = "it did not happen again when the epoch was repeated without callbacks_fn"
            return (first, last), Cause(text=text, fix="")
        catch.bring_back()
        batch = next(self._batches(catch.batch, 1))
        cause = self._in_model(catch.model, batch) or self._in_step(catch.model, batch)
        return (catch.batch, catch.batch), cause

    def _earlier(self, first: int) -> int:
        """A gradient may have spoilt a weight one batch, or one accumulation, before the loss."""
        return max(0, first - (self._job.config.gradient_accumulation or 1))

    def _caught(self, first: int, last: int) -> Catch:
        catch = Catch(self._error.epoch, first, last)
        with contextlib.suppress(CaughtError):
            self._again(catch)
        if catch.batch is None or catch.kept:
            return catch
        return self._caught(catch.batch, catch.batch)

    def _in_model(self, model: Any, batch: Batch, *, training: bool = True) -> Cause | None:
        return cause_in_model(model, batch, custom=has_own_step(model), training=training)

    def _in_step(self, model: Any, batch: Batch) -> Cause:
        model.train_step(batch.whole)
        found = cause_in_step(model)
        if found is not None:
            return found
        text = "features, label and what the layers give are finite; it arises in the model's own "
        text += "training step" if has_own_step(model) else "loss or optimizer"
        return Cause(text=text, fix="")
