"""The inputs of a worker: real examples from a folder, or random ones. Needs numpy only."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng  # here, so that no model's memory holds it

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import BenchmarkError

Batch = dict[str, np.ndarray[Any, Any]]
PREFIX = "="  # keeps an input named "file" apart from the argument of np.savez
_DIFFERENT_BATCHES = 8  # timed in turn, so that a model whose time depends on its input shows it


def store_batch(folder: Path, number: int, batch: Batch) -> None:
    """Writes one batch, so that `stored_batches` gives it in the order of the numbers."""
    arrays: dict[str, Any] = {PREFIX + name: as_stored(value) for name, value in batch.items()}
    np.savez(folder / f"inputs_{number:06}.npz", **arrays)


def stored_batches(folder: Path) -> Iterator[Batch]:
    """The batches of a folder in their order; text comes as arrays of str objects."""
    for path in sorted(folder.glob("inputs_*.npz")):
        with np.load(path) as file:
            yield {name.removeprefix(PREFIX): _text(file[name]) for name in file.files}


def timing_batches(batches: Iterable[Batch], batch_size: int) -> list[Batch]:
    """Up to eight different batches of exactly `batch_size`; too few examples are repeated.

    Raises:
        BenchmarkError: There are no examples.
    """
    few = [of_size(batch, batch_size) for batch in itertools.islice(batches, _DIFFERENT_BATCHES)]
    if not few:
        raise BenchmarkError(
            "There are no examples to measure with.",
            received="0 examples",
            expected="at least one",
            fix="Give samples, or a split that has examples (steps.benchmark.split).",
        )
    return few


def of_size(batch: Batch, batch_size: int) -> Batch:
    """The first examples of the batch; when it has too few they are repeated."""
    rows = np.arange(batch_size) % size_of(batch)
    return {name: np.ascontiguousarray(value[rows]) for name, value in batch.items()}


def split_to(batch: Batch, batch_size: int) -> Iterator[Batch]:
    """The batch in pieces of at most `batch_size`."""
    for start in range(0, size_of(batch), batch_size):
        yield {name: value[start : start + batch_size] for name, value in batch.items()}


def size_of(batch: Batch) -> int:
    """The number of examples in a batch."""
    return len(next(iter(batch.values())))


def random_batch(inputs: Sequence[TensorSpec], batch_size: int) -> Batch:
    """The same random values each time: floats in [0, 1), integers 0 and 1.

    Raises:
        BenchmarkError: A dimension besides the batch varies, or an input is text.
    """
    generator = default_rng(0)
    return {spec.name: _random(spec, batch_size, generator) for spec in inputs}


def _random(spec: TensorSpec, count: int, generator: Generator) -> Any:
    if None in spec.shape[1:] or spec.dtype == "string":
        raise BenchmarkError(
            f"No input can be made up for {spec.name!r}.",
            received=f"{spec.dtype} {list(spec.shape)}",
            expected="a numeric type, and a shape that varies in the batch only",
            fix="Give real examples: `samples`, or a dataset.",
        )
    shape = (count, *(size or 1 for size in spec.shape[1:]))
    if np.issubdtype(np.dtype(spec.dtype), np.floating):
        return generator.random(shape).astype(spec.dtype)
    return generator.integers(0, 2, shape).astype(spec.dtype)


def as_stored(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Text of objects as text of a fixed width, which a file takes without pickle."""
    if value.dtype.kind not in "OS":
        return value
    texts = [
        t.decode("utf-8", "surrogateescape") if isinstance(t, bytes) else t for t in value.flat
    ]
    return np.array(texts, dtype=str).reshape(value.shape)


def _decoded(item: Any) -> str:
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)


def _text(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return value.astype(object) if value.dtype.kind == "U" else value
