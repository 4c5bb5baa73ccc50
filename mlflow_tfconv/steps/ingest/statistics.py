"""What is learned of the examples on their way through, in little memory."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.data.inference import Arrays
from mlflow_tfconv.data.values import is_text
from mlflow_tfconv.errors import DataError

SAMPLES = 24
_MOST_CLASSES = 10_000
_THUMBNAIL_PIXELS = 128


@dataclass(slots=True)
class Range:
    """The finite values of a feature.

    Attributes:
        low: The smallest.
        high: The largest.
        not_finite: How many examples have a NaN or an infinity in it.
    """

    low: float = float("inf")
    high: float = float("-inf")
    not_finite: int = 0

    def add(self, array: np.ndarray[Any, Any]) -> None:
        """Takes one example's values; complex ones and empty arrays say nothing."""
        if array.size == 0 or array.dtype.kind == "c":
            return
        low, high = float(array.min()), float(array.max())
        if not np.isfinite(low) or not np.isfinite(high):
            self.not_finite += 1
            finite = array[np.isfinite(array)]
            if finite.size == 0:
                return
            low, high = float(finite.min()), float(finite.max())
        self.low, self.high = min(self.low, low), max(self.high, high)


class Statistics:
    """Counts, classes, ranges and some examples to look at.

    Attributes:
        counts: Number of examples of each split.
        ranges: Range of each numeric feature.
        classes: Label to the number of examples of each (value, split); single values of text,
            integers and bools only.
        samples: A few examples of all splits, drawn evenly, with images made small.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.counts: Counter[str] = Counter()
        self.ranges: dict[str, Range] = {}
        self.classes: dict[str, Counter[tuple[Any, str]]] = {label: Counter() for label in labels}
        self.samples: list[dict[str, np.ndarray[Any, Any]]] = []
        self._text_labels: dict[str, set[bytes]] = {}
        self._random = random.Random(0)  # noqa: S311 (a sample to look at)

    def add(self, split: str, arrays: Arrays) -> None:
        """Takes one example.

        Raises:
            DataError: A text label has more different values than classes can be.
        """
        self.counts[split] += 1
        for name, array in arrays.items():
            if not is_text(array):
                self.ranges.setdefault(name, Range()).add(array)
        for label, classes in list(self.classes.items()):
            self._add_label(label, classes, split, arrays[label])
        self._sample(arrays)

    def text_classes(self) -> dict[str, tuple[str, ...]]:
        """Text label to the different values it had, sorted."""
        return {
            label: tuple(sorted(value.decode(errors="replace") for value in values))
            for label, values in self._text_labels.items()
        }

    def _add_label(
        self, label: str, classes: Counter[tuple[Any, str]], split: str, array: np.ndarray[Any, Any]
    ) -> None:
        if is_text(array):
            values = self._text_labels.setdefault(label, set())
            values.update(array.flat)
            if len(values) > _MOST_CLASSES:
                raise DataError(
                    f"The text label {label!r} has more than {_MOST_CLASSES:,} different values.",
                    expected="the name of a class",
                    fix="Take another feature as `ingest.label`, or turn the text into numbers.",
                )
        if array.size == 1 and array.dtype.kind in "Oib":
            classes[array.item(), split] += 1
        if len(classes) > 3 * _MOST_CLASSES:
            del self.classes[label]  # integers that are counts or numbers, not classes

    def _sample(self, arrays: Arrays) -> None:
        """Each example has the same chance to stay (algorithm R)."""
        if len(self.samples) < SAMPLES:
            self.samples.append({name: _thumbnail(array) for name, array in arrays.items()})
            return
        place = self._random.randrange(sum(self.counts.values()))
        if place < SAMPLES:
            self.samples[place] = {name: _thumbnail(array) for name, array in arrays.items()}


def _thumbnail(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.ndim == 0:
        return array
    steps = (max(1, -(-size // _THUMBNAIL_PIXELS)) for size in array.shape[:2])
    return array[tuple(slice(None, None, step) for step in steps)].copy()
