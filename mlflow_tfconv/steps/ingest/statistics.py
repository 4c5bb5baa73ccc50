"""What is learned of the examples on their way through, in little memory.

Every part of the data has statistics of its own; merged they are those of the whole, the same to
the bit whatever the parts were and whoever read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.data.columns import Columns
from mlflow_tfconv.data.inference import Arrays
from mlflow_tfconv.data.splits import SPLITS
from mlflow_tfconv.data.values import is_text
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.digests import Digests
from mlflow_tfconv.steps.ingest.feature_statistics import FeatureStatistics
from mlflow_tfconv.steps.ingest.samples import Sample, Samples
from mlflow_tfconv.steps.ingest.statistics_file import read_with_samples, write_with_samples

_MOST_CLASSES = 10_000
_NO_SHAPES: Mapping[str, tuple[int, ...]] = {}

#: Label to the number of examples of each (value, split).
Classes = dict[str, Counter[tuple[Any, str]]]


class Statistics:
    """Counts, classes, ranges, sizes and some examples to look at.

    Attributes:
        counts: Number of examples of each split.
        features: What is known of the values of each feature.
        classes: Label to the number of examples of each (value, split); single values of text,
            integers and bools only, and no label of more values than classes can be.
    """

    def __init__(self, labels: Collection[str] = (), images: Collection[str] = ()) -> None:
        """Of nothing yet.

        Args:
            labels: The label features.
            images: Features that hold encoded images (`FeatureSpec.encoding` "image").
        """
        self.counts: Counter[str] = Counter()
        self.features: dict[str, FeatureStatistics] = {}
        # Encoded images as labels, such as masks, are of no class.
        self.classes: Classes = {label: Counter() for label in labels if label not in images}
        self._text_labels: dict[str, set[bytes]] = {}
        self._samples = Samples(frozenset(images))

    def add(
        self,
        split: str,
        arrays: Arrays,
        digest: int,
        original_shapes: Mapping[str, tuple[int, ...]] = _NO_SHAPES,
    ) -> None:
        """Takes one example.

        Args:
            split: Where it went.
            arrays: Its features; they are not kept.
            digest: `record_digest` of its record, or another number that is spread evenly and the
                same for the same example: those with the smallest are the samples.
            original_shapes: See `Found.original_shapes`.

        Raises:
            DataError: A text label has more different values than classes can be.
        """
        self.counts[split] += 1
        features = self.features
        for name, array in arrays.items():
            known = features.get(name)
            if known is None:
                known = features[name] = FeatureStatistics()
            known.add(array, original_shapes.get(name) if original_shapes else None)
        for label in tuple(self.classes):
            self._add_label(label, split, arrays[label])
        self._samples.add(arrays, digest)

    def add_all(self, splits: Sequence[str], columns: Columns, digests: Digests) -> None:
        """Takes many examples, as `add` takes each.

        Args:
            splits: Where each went.
            columns: Their features; they are not kept.
            digests: Of their records.

        Raises:
            DataError: As `add`.
        """
        self.counts.update(splits)
        for name, column in columns.items():
            self.features.setdefault(name, FeatureStatistics()).add_column(column)
        for label in tuple(self.classes):
            self._add_labels(label, splits, columns[label])
        self._samples.add_all(columns, digests)

    def merge(self, other: Statistics) -> None:
        """Takes those of another part of the data, which stay as they are.

        Raises:
            DataError: As `add`.
        """
        self.counts.update(other.counts)
        for name, more in other.features.items():
            self.features.setdefault(name, FeatureStatistics()).merge(more)
        for label, values in other._text_labels.items():
            self._text_labels.setdefault(label, set()).update(values)
        for label in tuple(self.classes):
            if label in other.classes:
                self.classes[label].update(other.classes[label])
            elif other.counts:
                del self.classes[label]  # it turned out to have too many values there
            self._check_classes(label)
        self._samples.merge(other._samples)

    @property
    def samples(self) -> list[Sample]:
        """A few different examples of all splits, drawn evenly, with images made small."""
        return [sample for _, sample in self._samples.items()]

    def text_classes(self) -> dict[str, tuple[str, ...]]:
        """Text label to the different values it had, sorted."""
        return {
            label: tuple(sorted(value.decode(errors="replace") for value in values))
            for label, values in self._text_labels.items()
        }

    def save(self, path: Path) -> None:
        """Writes them into one file (.npz, without pickles)."""
        plain = {
            "counts": self.counts,
            "features": {name: found.to_json() for name, found in self.features.items()},
            "classes": {
                label: [[_to_plain(value), split, count] for (value, split), count in found.items()]
                for label, found in self.classes.items()
            },
            "text_labels": {
                label: sorted(map(_to_plain, values)) for label, values in self._text_labels.items()
            },
        }
        write_with_samples(plain, self._samples, path)

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Those that `save` wrote.

        Raises:
            DataError: The file is missing or damaged.
        """
        plain, samples = read_with_samples(path)
        found = cls()
        found.counts = Counter(plain["counts"])
        found.features = {
            name: FeatureStatistics.from_json(item) for name, item in plain["features"].items()
        }
        found.classes = {
            label: Counter({(_from_plain(value), split): count for value, split, count in items})
            for label, items in plain["classes"].items()
        }
        found._text_labels = {
            label: set(map(_from_plain, values)) for label, values in plain["text_labels"].items()
        }
        found._samples = samples
        return found

    def _add_label(self, label: str, split: str, array: np.ndarray[Any, Any]) -> None:
        single = array.item() if array.size == 1 else None
        classes = self.classes[label]
        if single is not None and (single, split) in classes:  # all that is left is to count
            classes[single, split] += 1
            return
        if is_text(array):
            values = self._text_labels.setdefault(label, set())
            if single is None or single not in values:
                values.update(array.flat)
        if single is not None and array.dtype.kind in "Oibu":
            classes[single, split] += 1
        self._check_classes(label)

    def _add_labels(self, label: str, splits: Sequence[str], column: np.ndarray[Any, Any]) -> None:
        if column.ndim > 1:
            for split, array in zip(splits, column, strict=True):
                if label in self.classes:
                    self._add_label(label, split, array)
            return
        values = column.tolist()
        if is_text(column):
            self._text_labels.setdefault(label, set()).update(values)
        if column.dtype.kind in "Oibu":
            self.classes[label].update(zip(values, splits, strict=True))
        self._check_classes(label)

    def _check_classes(self, label: str) -> None:
        if len(self._text_labels.get(label, ())) > _MOST_CLASSES:
            raise DataError(
                f"The text label {label!r} has more than {_MOST_CLASSES:,} different values.",
                expected="the name of a class",
                fix="Take another feature as `ingest.label`, or turn the text into numbers.",
            )
        if len(self.classes.get(label, ())) > _MOST_CLASSES * len(SPLITS):
            del self.classes[label]  # integers that are counts or numbers, not classes


def _to_plain(value: Any) -> Any:
    """Bytes as JSON holds them; numbers and bools are told from text by their type."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _from_plain(value: Any) -> Any:
    return value.encode("latin-1") if isinstance(value, str) else value
