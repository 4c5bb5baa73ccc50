"""Inputs made up from a model's specs, for want of real examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.runtimes.input_range import InputRange
from mlflow_tfconv.runtimes.random_texts import random_texts

Array = np.ndarray[Any, Any]

#: What `random_inputs` draws, in words.
DESCRIPTION = "made-up inputs (seeded, over the range that each input takes as far as it is known)"
_UNKNOWN_SIZE = 8  # a sequence's length
_UNKNOWN_IMAGE_SIZE = 32  # height and width: many networks halve them five times
_CHANNELS = (1, 3, 4)


def random_inputs(
    specs: Sequence[TensorSpec],
    *,
    ranges: Mapping[str, InputRange] | None = None,
    batches: int = 4,
    batch_size: int = 4,
    seed: int = 0,
) -> Iterator[dict[str, Array]]:
    """Batches `{input_name: array of shape (batch_size, ...)}` that are the same every time.

    The second batch is of one example where the batch may be of any size. Both ends of a range are
    among the values. Without a known range, uint8 is 0 to 255, other integers are 0 or 1 (nobody
    knows how many rows an embedding has), images are 0 to 1 and other floats -1 to 1. A dimension
    that varies is 8 long, or 32 in images.

    Args:
        specs: The inputs.
        ranges: Input to what is known of its values.
        batches: How many.
        batch_size: Examples in each but the second.
        seed: Another gives other values.
    """
    generator = np.random.default_rng(seed)
    known = ranges or {}
    for number in range(batches):
        size = 1 if number == 1 else batch_size
        yield {
            spec.name: _array(spec, known.get(spec.name, InputRange()), size, generator)
            for spec in specs
        }


def _array(
    spec: TensorSpec, given: InputRange, batch_size: int, generator: np.random.Generator
) -> Array:
    shape = _shape(spec, given, batch_size)
    if given.content == "batch_size":
        return np.full(shape, batch_size, spec.dtype)
    if spec.dtype in ("string", "object"):
        return random_texts(given, shape, generator)
    kind = np.dtype("float32" if spec.dtype == "bfloat16" else spec.dtype)
    if kind == np.bool_:
        return _mask(shape, generator)
    low, high = _ends(spec, given, kind)
    if kind.kind == "c":
        return (generator.uniform(low, high, shape) + 1j * generator.random(shape)).astype(kind)
    if kind.kind in "iu" or given.whole:
        whole = generator.integers(int(low), int(high), shape, endpoint=True)
        return _with_ends(np.asarray(whole).astype(kind), low, high, generator)
    floats = np.asarray(generator.uniform(low, high, shape))
    return _with_ends(floats.astype(kind), low, high, generator)


def _shape(spec: TensorSpec, given: InputRange, batch_size: int) -> tuple[int, ...]:
    wanted = spec.shape if given.shape is None else given.shape
    unknown = _UNKNOWN_IMAGE_SIZE if len(wanted) == 4 else _UNKNOWN_SIZE
    tail = [unknown if size is None else size for size in wanted[1:]]
    head = [batch_size if wanted[0] is None else wanted[0]] if wanted else []
    return (*head, *tail)


def _ends(spec: TensorSpec, given: InputRange, kind: np.dtype[Any]) -> tuple[float, float]:
    low, high = _usual_ends(spec, kind)
    if given.low is not None:
        low, high = given.low, max(high, given.low)
    if given.high is not None:
        low, high = min(low, given.high), given.high
    return low, high


def _usual_ends(spec: TensorSpec, kind: np.dtype[Any]) -> tuple[float, float]:
    if kind.kind in "iu":
        return (0, 255) if kind == np.uint8 else (0, 1)
    image = len(spec.shape) == 4 and (spec.shape[-1] in _CHANNELS or spec.shape[1] in _CHANNELS)
    if image:
        return 0.0, 1.0
    return (-1.0, 1.0) if spec.shape else (0.5, 1.0)  # a scalar is a rate, a scale, a temperature


def _with_ends(values: Array, low: float, high: float, generator: np.random.Generator) -> Array:
    """With both ends of the range somewhere in it."""
    if values.size > 1:
        places = generator.choice(values.size, 2, replace=False)
        values.flat[places[0]], values.flat[places[1]] = low, high
    return values


def _mask(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """True and false; the first of each example is true, for a mean over nothing is no number."""
    values = generator.integers(0, 2, shape).astype(np.bool_)
    if values.ndim >= 2:
        values[:, 0] = True
    return values
