"""The inputs of a worker: real examples from a folder, or random ones. Needs numpy only."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.runtimes.random_inputs import random_inputs

Batch = dict[str, np.ndarray[Any, Any]]
PREFIX = "="  # keeps an input named "file" apart from the argument of np.savez
_MOST_SHOWN = 4  # inputs in a note
_LONGEST_NAME = 60
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
    """The same values each time, as `random_inputs` draws them; text as str objects.

    An input whose first dimension is fixed, or that has none, keeps its shape: a table, a state, a
    rate. Other dimensions that vary are of the sizes that `made_up` tells.

    Raises:
        BenchmarkError: numpy has no values of the type of an input.
    """
    for spec in inputs:
        _require_a_known_type(spec)
    (batch,) = random_inputs(inputs, batches=1, batch_size=batch_size)
    return {spec.name: _as_taken(batch[spec.name], spec) for spec in inputs}


def made_up(inputs: Sequence[TensorSpec]) -> str:
    """What `random_batch` gives, such as "x (batch, 4), ids (batch, 8)"; empty without inputs."""
    shown = inputs[:_MOST_SHOWN]
    batch = random_batch(shown, 1)
    texts = [f"{_in_short(spec.name)} {_shape_in_words(batch[spec.name], spec)}" for spec in shown]
    more = len(inputs) - len(shown)
    return ", ".join(texts) + (f" and {more} more" if more else "")


def _in_short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def _shape_in_words(value: np.ndarray[Any, Any], spec: TensorSpec) -> str:
    sizes = [str(size) for size in value.shape]
    if spec.shape and spec.shape[0] is None:
        sizes[0] = "batch"
    return f"({', '.join(sizes)})"


def _require_a_known_type(spec: TensorSpec) -> None:
    if spec.dtype in ("string", "object"):
        return
    try:
        np.dtype(spec.dtype)
    except TypeError as error:
        raise BenchmarkError(
            f"No values of the type of the input {spec.name!r} can be made: numpy lacks it.",
            received=f"{spec.dtype} {list(spec.shape)}",
            expected="a type of numpy's, such as float32, float16, int8 or bool, or text",
            fix="Export the model with float32 inputs that it casts itself.",
        ) from error


def _as_taken(value: np.ndarray[Any, Any], spec: TensorSpec) -> np.ndarray[Any, Any]:
    """Text as str; bfloat16, where TensorFlow has taught numpy that type, was drawn as float32."""
    return _text(as_stored(value)) if value.dtype.kind == "O" else value.astype(spec.dtype)


def as_stored(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As a file takes it without pickle: text of a fixed width, bfloat16 and its like as float32."""
    if value.dtype.kind == "V":  # a type that another library has taught numpy
        return value.astype(np.float32)
    if value.dtype.kind not in "OS":
        return value
    texts = [
        t.decode("utf-8", "surrogateescape") if isinstance(t, bytes) else t for t in value.flat
    ]
    return np.array(texts, dtype=str).reshape(value.shape)


def _text(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return value.astype(object) if value.dtype.kind == "U" else value
