"""Which batches are left to train on, in calls of `fit` that begin at the begin of their stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlflow_tfconv.steps.train.backup import TrainingState
from mlflow_tfconv.steps.train.job import TrainingJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Epochs of the same number of batches.

    Attributes:
        first: Epochs before.
        last: Epochs at its end.
        skip: Batches of its epoch that were trained on before.
        steps: Batches of each of its epochs that are left.
    """

    first: int
    last: int
    skip: int
    steps: int


def spans(job: TrainingJob, state: TrainingState | None) -> Iterator[Span]:
    """What is left after a state: the rest of its epoch, then whole epochs."""
    if state is not None and state.stopped:
        return
    first, last, steps = state.epochs if state else 0, job.config.epochs, job.steps_per_epoch
    if state is not None and state.steps:
        yield Span(first=first, last=first + 1, skip=state.steps, steps=steps - state.steps)
        first += 1
    if first < last:
        yield Span(first=first, last=last, skip=0, steps=steps)
