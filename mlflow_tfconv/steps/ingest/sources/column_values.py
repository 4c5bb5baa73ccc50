"""Texts of a column as values of a type, and which of them are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlflow_tfconv.steps.ingest.sources.table_columns import Kind

_ARROW = {
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


def arrow_type(kind: Kind) -> Any:
    """The type that holds values of a kind; times are read as text first."""
    return _ARROW.get(kind, pa.string())


def values_of(
    texts: Any, kind: Kind, *, missing: Any = None, decimal: str = "."
) -> tuple[Any, list[int]]:
    """The texts as values, null where one is missing or unfit, and the places of the unfit ones.

    Args:
        texts: A pyarrow array of strings.
        kind: What they are to be.
        missing: A pyarrow array of the texts that stand for a missing value.
        decimal: What stands before decimals.
    """
    if kind == "string":
        return texts, []
    trimmed = pc.utf8_trim_whitespace(texts)
    if missing is not None:
        gone = pc.is_in(trimmed, value_set=missing)
        trimmed = pc.if_else(gone, pa.scalar(None, pa.string()), trimmed)
    if decimal != "." and kind in ("float32", "float64"):
        trimmed = pc.replace_substring(trimmed, decimal, ".")
    return converted_each(trimmed, lambda part: _converted(part, kind))


def converted_each(array: Any, convert: Callable[[Any], Any]) -> tuple[Any, list[int]]:
    """The array converted, null where a value is unfit, and the places of the unfit ones.

    Args:
        array: A pyarrow array.
        convert: Converts an array, or raises ArrowInvalid because of some value in it.
    """
    bad: list[int] = []
    return pa.concat_arrays(_halves(array, convert, 0, bad)), bad


def kind_of(texts: Any, missing: Any, decimal: str) -> tuple[Kind | None, int]:
    """The narrowest kind that all texts are, None when all are missing; and how many are missing."""
    trimmed = pc.utf8_trim_whitespace(texts)
    there = trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=missing)))
    gone = len(texts) - len(there)
    if not len(there):
        return None, gone
    candidates: tuple[Kind, ...] = ("int64", "float32", "bool")
    for kind in candidates:
        plain = pc.replace_substring(there, decimal, ".") if kind == "float32" else there
        if _fits(plain, kind):
            return kind, gone
    return "string", gone


def wider(one: Kind | None, other: Kind | None) -> Kind | None:
    """The kind that values of both are of."""
    if one == other or other is None:
        return one
    if one is None:
        return other
    return "float32" if {one, other} == {"int64", "float32"} else "string"


def _halves(array: Any, convert: Callable[[Any], Any], first: int, bad: list[int]) -> list[Any]:
    """Halves what can't be converted whole until the unfit values stand alone."""
    try:
        return [convert(array)]
    except pa.ArrowInvalid:
        if len(array) == 1:
            bad.append(first)
            return [convert(pa.nulls(1, array.type))]
    half = len(array) // 2
    return [
        *_halves(array[:half], convert, first, bad),
        *_halves(array[half:], convert, first + half, bad),
    ]


def _converted(texts: Any, kind: Kind) -> Any:
    if kind != "datetime":
        return pc.cast(texts, arrow_type(kind))
    try:
        times = pc.cast(texts, pa.timestamp("us"))
    except pa.ArrowInvalid:
        times = pc.cast(texts, pa.timestamp("us", tz="UTC"))
    return pc.cast(times, pa.int64())


def _fits(texts: Any, kind: Kind) -> bool:
    try:
        _converted(texts, kind)
    except pa.ArrowInvalid:
        return False
    return True
