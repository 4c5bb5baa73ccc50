"""What is learned of the values of one feature."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from mlflow_tfconv.steps.ingest.sizes import Sizes

_MOST_SHAPES = 4096

Array = np.ndarray[Any, Any]


class FeatureStatistics:
    """Range, missing values and sizes of one feature, of one part of the data or of all.

    Attributes:
        low: The smallest finite value; infinity when there is none.
        high: The largest finite value; minus infinity when there is none.
        missing: How many examples have a NaN or an empty text in it.
        infinite: How many examples have an infinity in it.
    """

    def __init__(self) -> None:
        self.low: float = math.inf
        self.high: float = -math.inf
        self.missing = self.infinite = 0
        self._dimensions: list[Sizes] = []
        self._lengths = Sizes()
        # Few different shapes and lengths come often: they are counted first, looked at later.
        self._new_shapes: Counter[tuple[int, ...]] = Counter()
        self._new_lengths: Counter[int] = Counter()

    def add(self, array: Array, shape: tuple[int, ...] | None = None) -> None:
        """Takes one example's value.

        Args:
            array: The value.
            shape: What to count as its shape, where that is not the array's own.
        """
        counted = array.shape if shape is None else shape
        if counted in self._new_shapes:
            self._new_shapes[counted] += 1
        else:
            self._count_new(counted, 1)
        kind = array.dtype.kind
        if kind == "O":
            if shape is None:  # otherwise it is a file, such as an encoded image
                self._add_text(array)
        elif array.ndim == 0 and kind in "fiub":
            value = array.item()
            if not self.low <= value <= self.high:
                self._add_number(value)
        elif array.size and kind != "c":
            self._add_numbers(array[None])

    def add_column(self, column: Array) -> None:
        """Takes the values of many examples, (examples, ...), as `add` takes each."""
        self._count_new(column.shape[1:], len(column))
        kind = column.dtype.kind
        if kind == "O":
            lengths = Counter(map(len, column.flat))
            self._new_lengths.update(lengths)
            self.missing += lengths[0]
            if len(self._new_lengths) > _MOST_SHAPES:
                self._count_lengths()
        elif column.size and kind != "c":
            self._add_numbers(column)

    def merge(self, other: FeatureStatistics) -> None:
        """Takes what was learned of another part."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.missing += other.missing
        self.infinite += other.infinite
        self._count_shapes()
        mine, theirs = self._dimensions, other.dimensions
        mine.extend(Sizes() for _ in range(len(theirs) - len(mine)))
        for sizes, more in zip(mine, theirs, strict=False):
            sizes.merge(more)
        self._count_lengths()
        self._lengths.merge(other.lengths)

    @property
    def dimensions(self) -> list[Sizes]:
        """The sizes of each dimension, such as the heights, the widths and the channels."""
        self._count_shapes()
        return self._dimensions

    @property
    def lengths(self) -> Sizes:
        """The lengths of its texts, in bytes."""
        self._count_lengths()
        return self._lengths

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "range": [self.low, self.high] if self.low <= self.high else None,
            "missing": self.missing,
            "infinite": self.infinite,
            "dimensions": [sizes.to_json() for sizes in self.dimensions],
            "lengths": self.lengths.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FeatureStatistics:
        """The inverse of `to_json`."""
        found = cls()
        if data["range"] is not None:
            found.low, found.high = data["range"]
        found.missing, found.infinite = data["missing"], data["infinite"]
        found._dimensions = [Sizes.from_json(sizes) for sizes in data["dimensions"]]
        found._lengths = Sizes.from_json(data["lengths"])
        return found

    def _count_new(self, shape: tuple[int, ...], times: int) -> None:
        self._new_shapes[shape] += times
        if len(self._new_shapes) > _MOST_SHAPES:
            self._count_shapes()

    def _add_number(self, value: float) -> None:
        if value - value == 0:  # finite
            self._widen(value, value)
        elif value != value:
            self.missing += 1
        else:
            self.infinite += 1

    def _add_numbers(self, column: Array) -> None:
        # A NaN or an infinity shows in the extremes: no third pass is needed to find none.
        low = np.minimum.reduce(column, axis=None).item()
        high = np.maximum.reduce(column, axis=None).item()
        if low - low != 0 or high - high != 0:
            rows = column.reshape(len(column), -1)
            self.missing += int(np.isnan(rows).any(axis=1).sum())
            self.infinite += int(np.isinf(rows).any(axis=1).sum())
            finite = column[np.isfinite(column)]
            if finite.size == 0:
                return
            low, high = finite.min().item(), finite.max().item()
        self._widen(low, high)

    def _widen(self, low: float, high: float) -> None:
        # Which of 0.0 and -0.0 is the smaller hangs on their order: both are 0.0 here.
        if low < self.low:
            self.low = low or abs(low)
        if high > self.high:
            self.high = high or abs(high)

    def _add_text(self, array: Array) -> None:
        empty = False
        for value in array.flat:
            self._new_lengths[len(value)] += 1
            empty = empty or not value
        self.missing += empty
        if len(self._new_lengths) > _MOST_SHAPES:
            self._count_lengths()

    def _count_shapes(self) -> None:
        for shape, times in self._new_shapes.items():
            missing = len(shape) - len(self._dimensions)
            self._dimensions.extend(Sizes() for _ in range(missing))
            for sizes, size in zip(self._dimensions, shape, strict=False):
                sizes.add(size, times)
        self._new_shapes.clear()

    def _count_lengths(self) -> None:
        for length, times in self._new_lengths.items():
            self._lengths.add(length, times)
        self._new_lengths.clear()
