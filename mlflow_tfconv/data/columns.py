"""Many examples at once: a feature's values one after the other, in an array (examples, ...)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlflow_tfconv.data.inference import Arrays, merged_shape
from mlflow_tfconv.data.schema import ARRAY_DTYPES, FeatureSpec
from mlflow_tfconv.data.values import cast_kept, dtype_name, is_text, scalar_type

Array = np.ndarray[Any, Any]

#: Feature to its values, an array (examples, ...); texts as an object array (examples,) of bytes.
Columns = Mapping[str, Array]


def columns_like(
    values: Mapping[str, Array | Sequence[Any]],
    features: Mapping[str, FeatureSpec],
    given: Mapping[str, FeatureSpec],
) -> Columns | None:
    """The values as `SchemaInference.check` makes them of one example after the other.

    Args:
        values: Feature to its values.
        features: What the examples before have shown.
        given: What is known of features beforehand.

    Returns:
        None when any of them does not agree with what is known, or needs a closer look: the
        examples are then to be checked one by one.
    """
    if values.keys() != features.keys():
        return None
    columns: dict[str, Array] = {}
    for name, some in values.items():
        spec = given.get(name)
        column = _column_of(some, precise=spec is not None and spec.dtype == "float64")
        if column is not None:
            column = _agreeing(column, features[name]) if spec is None else _given(column, spec)
        if column is None:
            return None
        columns[name] = column
    return columns


def are_finite(column: Array) -> bool:
    """Whether no value is a NaN or an infinity, as no text is."""
    return is_text(column) or bool(np.isfinite(column).all())


def row_at(columns: Columns, index: int) -> Arrays:
    """One of the examples."""
    return {name: _item(column, index) for name, column in columns.items()}


def as_list(rows: Array) -> list[bytes]:
    """The rows of a matrix of bytes."""
    whole = np.ascontiguousarray(rows)
    if not whole.shape[1]:
        return [b""] * len(whole)
    return list(whole.view(f"V{whole.shape[1]}").ravel().tolist())


def bytes_of_each(column: Array) -> Array:
    """The bytes of each example's elements, (examples, bytes) uint8."""
    count = len(column)
    size = column.itemsize * (column.size // count if count else 0)
    flat = np.ascontiguousarray(column).reshape(-1).view(np.uint8)
    return flat.reshape(count, size)


def _item(column: Array, index: int) -> Array:
    if column.ndim > 1:
        return np.asarray(column[index])
    value = np.empty((), column.dtype)  # np.asarray would look for a type of its own for bytes
    value[()] = column[index]
    return value


def _column_of(values: Array | Sequence[Any], *, precise: bool) -> Array | None:
    if not isinstance(values, np.ndarray):
        return _column_of_list(values, precise=precise)
    if values.dtype.kind == "S" and values.ndim == 1:
        return _texts(values.tolist())
    if values.dtype.kind == "U" and values.ndim == 1:
        return _texts([text.encode() for text in values.tolist()])
    if values.dtype.kind not in "biufc":
        return None
    if (
        values.ndim == 1
        and values.dtype.kind != "c"
        and not (precise and values.dtype == np.float64)
    ):
        return _scalars(values)
    if dtype_name(values) not in ARRAY_DTYPES:
        return None
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))


def _column_of_list(values: Sequence[Any], *, precise: bool) -> Array | None:
    kinds = set(map(type, values))
    if kinds <= {bytes, str} and kinds:
        return _texts([text if isinstance(text, bytes) else text.encode() for text in values])
    if kinds != {np.ndarray} or len({(value.shape, value.dtype) for value in values}) > 1:
        return None
    return _column_of(np.stack(values), precise=precise) if values[0].ndim else None


def _texts(values: Sequence[bytes]) -> Array:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _scalars(values: Array) -> Array | None:
    kind = scalar_type(values.dtype)
    if kind is None or (values.dtype == np.uint64 and (values > 2**63 - 1).any()):
        return None
    return values.astype(kind, copy=False)


def _agreeing(column: Array, spec: FeatureSpec) -> Array | None:
    fits = merged_shape(spec.shape, column.shape[1:]) == spec.shape
    return column if fits and dtype_name(column) == spec.dtype else None


def _given(column: Array, spec: FeatureSpec) -> Array | None:
    if spec.encoding in ("tensor", "image"):
        return None
    if merged_shape(spec.shape, column.shape[1:]) != spec.shape:
        return None
    if dtype_name(column) == spec.dtype:
        return column
    if spec.dtype == "string" or is_text(column):
        return None
    return cast_kept(column, np.dtype(spec.dtype))
