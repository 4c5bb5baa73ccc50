"""What the values of a label mean."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from mlflow_tfconv.data.columns import Columns
from mlflow_tfconv.data.inference import Arrays
from mlflow_tfconv.data.values import is_text
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.statistics import Statistics

_FEW_NAMES = 20


class ClassNames:
    """The classes of each label: declared beforehand, or learned from text labels.

    Attributes:
        names: Label to the names that were declared for it.
    """

    def __init__(self, names: Mapping[str, tuple[str, ...]]) -> None:
        self.names = dict(names)
        self._indices = {
            label: {name.encode(): index for index, name in enumerate(known)}
            for label, known in self.names.items()
        }

    @classmethod
    def declared(cls, module: ModuleType, labels: tuple[str, ...]) -> ClassNames:
        """CLASS_NAMES of the user's module: names of the one label, or a dict {label: names}.

        Raises:
            ConfigError: It is neither, or there is no such label.
        """
        value = getattr(module, "CLASS_NAMES", None)
        if value is None:
            return cls({})
        named = value if isinstance(value, Mapping) else {labels[0] if labels else "": value}
        fits = len(labels) == 1 or isinstance(value, Mapping)
        if not fits or not set(named) <= set(labels) or not all(map(_are_names, named.values())):
            raise ConfigError(
                "CLASS_NAMES in steps/ingest.py can't be used.",
                received=f"{value!r:.100}, with ingest.label: {', '.join(labels) or 'none'}",
                expected="a tuple of different texts for the one label, or a dict {label: texts}",
                fix="Set `ingest.label`, or correct CLASS_NAMES.",
            )
        return cls({label: tuple(names) for label, names in named.items()})

    def check(self, arrays: Arrays, where: str) -> None:
        """Refuses an example of a class that was not declared.

        Raises:
            DataError: The label is none of the names, or no index of one.
        """
        for label, indices in self._indices.items():
            array = arrays.get(label)
            if array is not None and not _are_known(array, indices):
                raise _unknown_class(label, array, self.names[label], where)

    def know(self, columns: Columns) -> bool:
        """Whether many examples are all of classes that were declared."""
        return all(
            _are_known(columns[label], indices)
            for label, indices in self._indices.items()
            if label in columns
        )

    def as_indices(self, arrays: Arrays) -> Arrays:
        """The same, of one example or of many, with text of declared classes as int64 indices."""
        texts = {
            label: np.array([indices[item] for item in arrays[label].flat], np.int64).reshape(
                arrays[label].shape
            )
            for label, indices in self._indices.items()
            if label in arrays and is_text(arrays[label])
        }
        return {**arrays, **texts}

    def of_labels(self, statistics: Statistics) -> dict[str, tuple[str, ...]]:
        """The declared names, and for text labels without them all that were seen, sorted."""
        return statistics.text_classes() | self.names


def _are_known(array: np.ndarray[Any, Any], indices: Mapping[bytes, int]) -> bool:
    if is_text(array):
        return indices.keys() >= set(array.flat)
    return array.dtype.kind in "iu" and bool(((array >= 0) & (array < len(indices))).all())


def _are_names(names: Any) -> bool:
    return (
        isinstance(names, list | tuple)
        and len(names) > 0
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
    )


def _unknown_class(label: str, array: Any, names: tuple[str, ...], where: str) -> DataError:
    text = array.dtype.kind == "O"
    few = f"one of {', '.join(names[:_FEW_NAMES])}{', ...' if len(names) > _FEW_NAMES else ''}"
    return DataError(
        f"{where}: the label {label!r} is of no declared class.",
        received=f"{array.tolist()!r:.80}",
        expected=few if text else f"an integer from 0 to {len(names) - 1}",
        fix="Correct the label, or the class names.",
    )
