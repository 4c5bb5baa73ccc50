"""The batches that the scenarios send: of a size of their own, which may be larger than any timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_tfconv.steps.benchmark.examples import Batch, of_size

if TYPE_CHECKING:  # the opened model knows all commands
    from mlflow_tfconv.runtimes.runtime import Runtime
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

Call = Callable[[], object]


def size_for(opened: OpenedModel, asked: int) -> int:
    """The size that was asked for, or the only one that the model takes."""
    return opened.fixed_batch() or asked


def batches_of_size(opened: OpenedModel, size: int) -> list[Batch]:
    """Different batches up to the largest size that is timed, and beyond it one of all examples."""
    largest = max(opened.batch_sizes)
    if size <= largest:
        return opened.examples(size)
    return [of_size(_joined(opened.examples(largest)), size)]


def calls_of(runtime: Runtime, batches: Sequence[Batch]) -> list[Call]:
    """A call for each batch."""
    return [runtime.call_for(batch) for batch in batches]


def bytes_of(batch: Batch) -> int:
    """What its arrays take; of text only the references."""
    return sum(int(value.nbytes) for value in batch.values())


def _joined(batches: Sequence[Batch]) -> dict[str, np.ndarray[Any, Any]]:
    """All examples in one batch; the first batch where their shapes differ."""
    shapes = {tuple(value.shape[1:] for value in batch.values()) for batch in batches}
    if len(shapes) > 1:
        return batches[0]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
