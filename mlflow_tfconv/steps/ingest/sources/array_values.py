"""Lists in the rows of a column, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array = np.ndarray[Any, Any]


def is_list(kind: Any) -> bool:
    """Whether values of an arrow type are lists, of fixed size or not."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def element_type(kind: Any) -> Any:
    """The type of what lists of lists of ... hold."""
    while is_list(kind):
        kind = kind.value_type
    return kind


def arrays_of(column: Any, dtype: str | None = None) -> list[Array | None]:
    """The array of each row; None for a row without one, or with gaps among integers.

    Doubles become float32, as Python's lists of numbers do; other elements keep their type.

    Args:
        column: A pyarrow array of lists, or of lists of lists.
        dtype: What the elements become.
    """
    lists = pc.cast(column, pa.list_(column.type.value_type))
    offsets = lists.offsets.to_numpy()
    there = lists.is_valid().to_numpy(zero_copy_only=False)
    spans = zip(offsets[:-1].tolist(), offsets[1:].tolist(), there.tolist(), strict=True)
    values = lists.values
    if is_list(values.type):
        inner = arrays_of(values, dtype)
        return [_stacked(inner[start:end]) if valid else None for start, end, valid in spans]
    flat, gaps = _elements(values, dtype)
    return [
        flat[start:end] if valid and not (gaps is not None and gaps[start:end].any()) else None
        for start, end, valid in spans
    ]


def _elements(values: Any, dtype: str | None) -> tuple[Array, Array | None]:
    """The elements, and which of them are missing where the type has no NaN."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = values.cast(pa.large_binary())
    gaps = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    if pa.types.is_large_binary(values.type) or pa.types.is_binary(values.type):
        return np.array(values.to_pylist(), dtype=object), gaps
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    floats = pa.types.is_floating(values.type)
    if gaps is not None and not floats:
        values = values.fill_null(False if pa.types.is_boolean(values.type) else 0)
    flat = values.to_numpy(zero_copy_only=False)
    to = dtype or ("float32" if flat.dtype == np.float64 else flat.dtype.name)
    return flat.astype(to, copy=False), None if floats else gaps


def _stacked(rows: list[Array | None]) -> Array | None:
    """Lists of equal length side by side; None where they are not, or one is missing."""
    whole = [row for row in rows if row is not None]
    if len(whole) < len(rows) or len({row.shape for row in whole}) > 1:
        return None
    return np.stack(whole) if whole else np.empty((0,), np.float32)
