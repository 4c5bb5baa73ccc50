"""Inputs made up from a model's specs, for want of real examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConversionError

#: What `random_inputs` draws, in words.
DESCRIPTION = (
    "made-up inputs (seeded: floats uniform in [0, 1), uint8 in 0..255, other integers 0 or 1)"
)
_UNKNOWN_SIZE = 8  # a sequence's length
_UNKNOWN_IMAGE_SIZE = 32  # height and width: many networks halve them five times


def random_inputs(
    specs: Sequence[TensorSpec], *, batches: int = 4, batch_size: int = 4, seed: int = 0
) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Batches `{input_name: array of shape (batch_size, ...)}` that are the same every time.

    Integers other than uint8 are 0 or 1, since nobody knows how many rows an embedding has. A
    dimension that varies is 8 long, or 32 in images.

    Raises:
        ConversionError: An input takes strings; nothing sensible can be made up.
    """
    generator = np.random.default_rng(seed)
    for _ in range(batches):
        yield {spec.name: _array(spec, batch_size, generator) for spec in specs}


def _array(
    spec: TensorSpec, batch_size: int, generator: np.random.Generator
) -> np.ndarray[Any, Any]:
    unknown = _UNKNOWN_IMAGE_SIZE if len(spec.shape) == 4 else _UNKNOWN_SIZE
    tail = [unknown if size is None else size for size in spec.shape[1:]]
    head = [spec.shape[0] or batch_size] if spec.shape else []
    shape = (*head, *tail)
    if spec.dtype in ("string", "object"):
        raise ConversionError(
            f"No values can be made up for the input {spec.name!r}, which takes strings.",
            received="no samples",
            fix="Give samples: an iterable of {input_name: array of shape (batch, ...)}.",
        )
    kind = np.dtype(spec.dtype) if spec.dtype != "bfloat16" else np.dtype(np.float32)
    if kind == np.bool_:
        return generator.integers(0, 2, shape).astype(kind)
    if kind == np.uint8:
        return generator.integers(0, 256, shape).astype(kind)
    if kind.kind in "iu":
        return generator.integers(0, 2, shape).astype(kind)
    return generator.random(shape).astype(kind)
