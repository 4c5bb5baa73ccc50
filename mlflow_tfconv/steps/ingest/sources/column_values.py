"""Texts of a column as values of a type, and which of them are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlflow_tfconv.steps.ingest.sources.table_columns import Kind

_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf(inity)?|nan)$"
_WHOLE = r"^[+-]?\d+$"
_WHOLE_DECIMAL = r"^[+-]?\d+(\.0*)?$"
_LEADING_ZERO = r"^[+-]?0\d+$"
_WITH_COMMA = r"^[+-]?\d[\d.,' ]*,\d+$"
_TRUTHS = pa.array(["true", "false"])
_YES = pa.array(["yes", "y", "t", "on"])
_NO = pa.array(["no", "n", "f", "off"])
_FEW_OF = 20  # one in so many values may be a mistake
_EXACT_IN_FLOAT32 = 2**24

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


@dataclass(slots=True)
class ColumnSample:
    """What was seen of a column of texts.

    Attributes:
        values: Rows with a value.
        missing: Rows without one.
        numbers: The narrowest kind of those values that are numbers, "string" for integers too
            large for any; None when none is.
        whole: Whether the numbers are integers, if maybe written with decimals (`1.0`).
        zeros: Numbers with a zero before other digits, as codes have it (`00123`).
        commas: Values that would be numbers but for a comma (`0,5` or `1,234`).
        large: Whether there are integers that a float32 does not tell apart.
        truths: Values that are true or false.
        odd: Values that are no numbers.
        example: One of these.
    """

    values: int = 0
    missing: int = 0
    numbers: Kind | None = None
    large: bool = False
    whole: bool = True
    zeros: int = 0
    commas: int = 0
    truths: int = 0
    odd: int = 0
    example: str = ""

    @property
    def kind(self) -> Kind | None:
        """What the values are; None when there is none.

        A few odd values among many numbers are mistakes: they are told one by one when the column
        is read, and don't make the numbers text.
        """
        if not self.values:
            return None
        if self.truths == self.values:
            return "bool"
        return self.numbers if self.odd * _FEW_OF <= self.values else "string"

    @property
    def best(self) -> Kind | None:
        """The kind to read it as: integers are floats where some are missing, to be NaN."""
        return "float32" if self.kind == "int64" and self.missing and not self.large else self.kind

    def add(self, texts: Any, missing: Any, decimal: str) -> None:
        """Looks at more values.

        Args:
            texts: A pyarrow array of strings.
            missing: A pyarrow array of the texts that stand for a missing value.
            decimal: What stands before decimals.
        """
        trimmed = pc.utf8_trim_whitespace(texts)
        there = trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=missing)))
        plain = there if decimal == "." else pc.replace_substring(there, decimal, ".")
        fits = pc.match_substring_regex(plain, _NUMBER)
        numbers, odd = plain.filter(fits), there.filter(pc.invert(fits))
        self.values += len(there)
        self.missing += len(texts) - len(there)
        self.truths += pc.sum(pc.is_in(pc.utf8_lower(odd), value_set=_TRUTHS)).as_py() or 0
        self.odd += len(odd)
        self.commas += _count(odd, _WITH_COMMA)
        if len(odd) and not self.example:
            self.example = odd[0].as_py()
        if len(numbers):
            self._add_numbers(numbers)

    def _add_numbers(self, numbers: Any) -> None:
        self.whole = self.whole and _count(numbers, _WHOLE_DECIMAL) == len(numbers)
        if self.numbers == "float32":
            return
        if _fits(numbers, pa.int64()):
            self.numbers = self.numbers or "int64"
            self.zeros += _count(numbers, _LEADING_ZERO)
            extremes = pc.min_max(pc.cast(numbers, pa.int64())).as_py().values()
            self.large = self.large or max(map(abs, extremes)) > _EXACT_IN_FLOAT32
        elif _count(numbers, _WHOLE) == len(numbers):
            self.numbers = "string"  # a float would not tell them apart
            self.example = self.example or max(numbers.to_pylist(), key=len)
        else:
            self.numbers = "float32"


def _count(texts: Any, pattern: str) -> int:
    """How many of the texts fit."""
    return pc.sum(pc.match_substring_regex(texts, pattern)).as_py() or 0


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
    if kind == "int64":
        texts = pc.replace_substring_regex(texts, r"^([+-]?\d+)\.0*$", r"\1")
    if kind == "bool":
        low = pc.utf8_lower(texts)
        texts = pc.if_else(pc.is_in(low, value_set=_YES), "true", low)
        texts = pc.if_else(pc.is_in(low, value_set=_NO), "false", texts)
    if kind != "datetime":
        return pc.cast(texts, arrow_type(kind))
    try:
        times = pc.cast(texts, pa.timestamp("us"))
    except pa.ArrowInvalid:
        times = pc.cast(texts, pa.timestamp("us", tz="UTC"))
    return pc.cast(times, pa.int64())


def _fits(texts: Any, to: Any) -> bool:
    try:
        pc.cast(texts, to)
    except pa.ArrowInvalid:
        return False
    return True
