"""Counts of values that are no numbers, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def as_floats(value: Any) -> Array | None:
    """The values as an array that numpy can look at; None for anything but floats."""
    value = getattr(value, "flat_values", value)  # of a ragged tensor
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    if array.dtype.kind == "V" or array.dtype.name == "bfloat16":  # types of ml_dtypes
        array = array.astype(np.float32)
    return array if array.dtype.kind == "f" else None


def in_words(value: Any) -> str | None:
    """Such as "3 NaN and 1 Inf among 128 values"; None when all are finite, or no floats."""
    array = as_floats(value)
    if array is None:
        return None
    kinds = (("NaN", np.isnan(array)), ("Inf", np.isposinf(array)), ("-Inf", np.isneginf(array)))
    counts = [f"{int(mask.sum()):,} {name}" for name, mask in kinds if mask.any()]
    return f"{' and '.join(counts)} among {array.size:,} values" if counts else None


def examples_with(value: Any) -> str:
    """Such as "in 2 of 16 examples (the first is number 3)"; empty for what has no examples."""
    array = as_floats(value)
    if array is None or array.ndim == 0 or hasattr(value, "flat_values"):
        return ""
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if not bad.any():
        return ""
    return f" in {int(bad.sum()):,} of {len(array):,} examples (the first is number {bad.argmax()})"


def range_of(value: Any) -> str:
    """Such as "from -1.5 to 3"; empty for what has no numbers."""
    value = getattr(value, "flat_values", value)
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    if array.dtype.kind not in "fiub" or not array.size:
        return ""
    return f"from {array.min():.4g} to {array.max():.4g}"


def largest_of(value: Any) -> float:
    """The largest absolute value; 0 of what has no floats."""
    array = as_floats(value)
    return float(np.abs(array).max()) if array is not None and array.size else 0.0


def named(value: Any, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The arrays of a batch with the names of their features."""
    if value is None:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from named(item, (str(name),))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from named(item, names[position : position + 1] or (f"number {position}",))
    else:
        yield (names[0] if names else "value"), value
