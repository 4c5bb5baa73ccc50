"""Rows of a table as examples, a batch of columns at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.sources.array_values import arrays_of
from mlflow_tfconv.steps.ingest.sources.source import FoundBatch
from mlflow_tfconv.steps.ingest.sources.table_columns import DROP, Column, TablePlan, Vector

_TICKS = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(slots=True)
class Rows:
    """Some rows of a table.

    Attributes:
        count: How many.
        arrays: Column name to its values, a pyarrow array with nulls where one is missing.
        wrong: Row to why it is no example; row numbers count from 0 in here.
        blank: Rows without any value, which are left out.
    """

    count: int
    arrays: dict[str, Any]
    wrong: dict[int, DataError] = field(default_factory=dict)
    blank: set[int] = field(default_factory=set)


def batch_of(
    rows: Rows, plan: TablePlan, where: Callable[[int], str], options_key: str
) -> FoundBatch:
    """The examples of the rows, in their order, with an error in the place of an unfit one.

    Args:
        rows: A batch.
        plan: What becomes of it.
        where: The place of a row, for a person.
        options_key: Where in recipe.yaml the options stand: "csv".
    """
    if not rows.arrays:  # none of them could be parsed
        return FoundBatch(count=rows.count, columns={}, where=where, errors=rows.wrong)
    left_out = set(rows.blank)
    columns = {
        name: _filled(rows, column, left_out, where, options_key)
        for name, column in plan.columns.items()
    }
    features: dict[str, Any] = {
        name: _items(columns[name], plan.columns[name], plan.time_unit) for name in plan.scalars
    }
    for name in plan.scalars:
        if plan.columns[name].kind == "array":
            features[name] = _arrays(columns[name], name, plan, rows, where)
    for vector in plan.vectors:
        features[vector.name] = _stacked(vector, columns, rows, where)
    batch = FoundBatch(count=rows.count, columns=features, where=where, errors=rows.wrong)
    return batch.without(left_out) if left_out else batch


def _filled(
    rows: Rows, column: Column, left_out: set[int], where: Callable[[int], str], key: str
) -> Any:
    """A column without nulls; rows that lack a value they need are told."""
    array = rows.arrays[column.name]
    missing = _missing(array, column)
    if missing is None:
        return array
    if column.missing == DROP:
        left_out.update(missing.tolist())
        return _without_nulls(array, column)
    if column.missing is not None:
        return _with_fill(array, column, missing, key)
    if column.required or column.kind not in ("float32", "float64", "string"):
        for row in missing.tolist():
            rows.wrong.setdefault(row, _lacking(column, where(row), key))
    return _without_nulls(array, column)


def _missing(array: Any, column: Column) -> Any:
    """The rows without a value, None when all have one; an empty text is no value."""
    gone = pc.is_null(array) if array.null_count else None
    if column.kind == "string":
        empty = pc.fill_null(pc.equal(pc.binary_length(array), 0), True)
        gone = empty if pc.any(empty).as_py() else None
    return None if gone is None else np.flatnonzero(gone.to_numpy(zero_copy_only=False))


def _without_nulls(array: Any, column: Column) -> Any:
    """Something in the place of a missing value; lists and images may stay null."""
    if column.kind in ("array", "image"):
        return array
    if pa.types.is_floating(array.type):
        value: Any = float("nan")
    elif column.kind == "string":
        value = b"" if pa.types.is_binary(array.type) else ""
    else:
        value = False if column.kind == "bool" else 0
    return pc.fill_null(array, pa.scalar(value, array.type))


def _with_fill(array: Any, column: Column, missing: Any, key: str) -> Any:
    try:
        fill = pa.scalar(column.missing, array.type)
        if pa.types.is_integer(array.type) and isinstance(column.missing, float):
            raise pa.ArrowInvalid("a float in a column of integers")
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError) as e:
        raise DataError(
            f"{key}.missing has an unfit value for the column {column.name!r}.",
            received=repr(column.missing),
            expected=f"a value of the type {column.kind}, or {DROP!r}",
            fix=f"Correct ingest.{key}.missing, or the type of the column.",
        ) from e
    mask = np.zeros(len(array), dtype=bool)
    mask[missing] = True
    return pc.if_else(pa.array(mask), fill, array)


def _items(array: Any, column: Column, time_unit: str) -> Any:
    """The values one by one: numbers of numpy, bytes for texts."""
    if column.kind == "string":
        binary = pa.large_binary() if pa.types.is_large_string(array.type) else pa.binary()
        return array.cast(binary).to_pylist()
    if column.kind == "array":
        return ()
    if column.kind == "image":
        return array.to_pylist()
    values = array.to_numpy(zero_copy_only=False)
    return values // _TICKS[time_unit] if column.kind == "datetime" else values


def _arrays(
    array: Any, name: str, plan: TablePlan, rows: Rows, where: Callable[[int], str]
) -> list[Any]:
    """The array of each row, in the type and the shape that were given."""
    given = (plan.given or {}).get(name)
    arrays = arrays_of(array, None if given is None or given.dtype == "string" else given.dtype)
    for row, value in enumerate(arrays):
        if value is None and row not in rows.wrong:
            rows.wrong[row] = DataError(
                f"{where(row)}: the list in the column {name!r} is no array.",
                received=f"{array[row].as_py()!r:.80}",
                expected="numbers or texts without gaps; lists within it of the same length",
                fix="Correct it, or leave such rows out: `on_error: skip`.",
            )
    if given is None or None in given.shape:
        return arrays
    size = math.prod(size for size in given.shape if size is not None)
    return [a.reshape(given.shape) if a is not None and a.size == size else a for a in arrays]


def _stacked(
    vector: Vector, columns: Mapping[str, Any], rows: Rows, where: Callable[[int], str]
) -> Any:
    """The columns side by side, one array (rows, columns)."""
    dtype = np.dtype(vector.dtype)
    stacked = np.empty((rows.count, len(vector.columns)), dtype)
    for place, name in enumerate(vector.columns):
        values = columns[name].to_numpy(zero_copy_only=False)
        if dtype.kind in "iu":
            _check_range(values, dtype, name, rows, where)
        elif dtype.kind == "b" and values.dtype != dtype:
            values = values != 0
        with np.errstate(invalid="ignore", over="ignore"):
            stacked[:, place] = values
    return stacked


def _check_range(
    values: Any, dtype: Any, name: str, rows: Rows, where: Callable[[int], str]
) -> None:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    unfit = ~((values >= low) & (values <= high)) | (values != np.trunc(values))
    for row in np.flatnonzero(unfit).tolist():
        error = DataError(
            f"{where(row)}: the value of the column {name!r} does not fit its type.",
            received=values[row],
            expected=f"an integer from {low} to {high} ({dtype})",
            fix="Give the feature another dtype, or leave such rows out: `on_error: skip`.",
        )
        rows.wrong.setdefault(row, error)


def _lacking(column: Column, where: str, key: str) -> DataError:
    what = "which is a label or the key" if column.required else f"which is of type {column.kind}"
    return DataError(
        f"{where}: the column {column.name!r} has no value, {what}.",
        received="a missing value",
        expected="a value in every row",
        fix=f"Say what takes its place (`{key}: {{missing: {{{column.name}: VALUE}}}}`), leave such "
        f"rows out (`{key}: {{missing: {{{column.name}: drop}}}}`, or `on_error: skip`).",
    )
