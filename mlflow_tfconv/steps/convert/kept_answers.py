"""Runs the source on the examples and keeps what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.runtimes.random_inputs import DESCRIPTION
from mlflow_tfconv.runtimes.runtime import Runtime, predicted
from mlflow_tfconv.steps.convert.answers import Answers
from mlflow_tfconv.steps.convert.verdict import size_of
from mlflow_tfconv.steps.convert.workplace import (
    EXAMPLES_FILE,
    answers_in,
    exports_in,
    part_answers_in,
)

Batch = Mapping[str, np.ndarray[Any, Any]]
Translate = Callable[[Batch, Batch], tuple[Batch, Batch]]
_MOST_EXAMPLES = 4


def keep_answers(
    reference: Runtime,
    batches: Iterable[Batch],
    work: Path,
    *,
    translate: Translate | None = None,
    announce: Callable[[int], None] | None = None,
) -> None:
    """Writes each batch with the source's outputs, and a few examples for whoever loads it back.

    Args:
        reference: The source.
        batches: The examples.
        work: The folder of the conversion.
        translate: Gives what the ONNX file takes and has to answer, where it is a part of the
            model only.
        announce: Called before each batch with its number of examples.
    """
    kept, of_part = Answers(answers_in(work)), Answers(part_answers_in(work))
    for number, batch in enumerate(batches):
        if announce is not None:
            announce(size_of(batch))
        answer = predicted(reference, batch)
        kept.add(batch, answer)
        if translate is not None:
            of_part.add(*translate(batch, answer))
        if number == 0:
            _keep_examples(batch, exports_in(work) / EXAMPLES_FILE)


def of_samples(named: str | None, warnings: tuple[str, ...]) -> dict[str, Any]:
    """The fields of `Written` on the examples: what they were, and a warning if they were made up.

    Args:
        named: What they were, in words, or None when they were made up.
        warnings: What there is to be said already.
    """
    if named is not None:
        return {"samples": named, "warnings": warnings}
    warning = f"There was no data to compare the outputs on: {DESCRIPTION}."
    return {"samples": DESCRIPTION, "warnings": (*warnings, warning)}


def _keep_examples(batch: Batch, path: Path) -> None:
    """Strings don't fit into the file."""
    if all(array.dtype.kind in "fiub" for array in batch.values()):
        few: dict[str, Any] = {name: array[:_MOST_EXAMPLES] for name, array in batch.items()}
        np.savez(path, **few)
