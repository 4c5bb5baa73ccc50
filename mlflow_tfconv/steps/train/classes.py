"""Whether a model has an output for every class of its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.train.functions import FILE


def check_classes(
    model: keras.Model, outputs: Any, label: Any, labels: Mapping[str, FeatureSpec]
) -> None:
    """Refuses too few outputs for a sparse categorical loss, which fails in the midst of training.

    Args:
        model: Compiled.
        outputs: What it gives.
        label: Of some examples, as the data give it.
        labels: What is known of the labels.

    Raises:
        DataError: A class has no output of its own.
    """
    for judged in _judged(model, outputs, label, labels):
        if judged.outputs is not None and judged.highest >= judged.outputs:
            raise _too_few(judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """An output and its label under a sparse categorical loss.

    Attributes:
        name: Of the label.
        classes: Their names, or None.
        outputs: Numbers an example, or a position of it; None when that is open.
        highest: The highest class that is known to be there.
    """

    name: str
    classes: tuple[str, ...] | None
    outputs: int | None
    highest: int


def _judged(
    model: keras.Model, outputs: Any, label: Any, labels: Mapping[str, FeatureSpec]
) -> Iterator[_Judged]:
    names = list(getattr(model, "output_names", None) or labels)
    given, losses = _by_name(outputs, names), _by_name(model.loss, names)
    truths = _by_name(label, names)
    for name in losses.keys() & given.keys() & truths.keys():
        ignored = _ignored_classes(losses[name])
        if ignored is None or not hasattr(given[name], "shape"):
            continue
        only = next(iter(labels)) if len(labels) == 1 else name
        classes = labels[only].class_names if only in labels else None
        yield _Judged(
            name=only,
            classes=classes,
            outputs=given[name].shape[-1],
            highest=_highest(truths[name], classes, ignored),
        )


def _by_name(value: Any, names: Sequence[str]) -> dict[str, Any]:
    """Of a dict, a list or a single thing what belongs to each output."""
    if isinstance(value, Mapping):
        return dict(value)
    several = value if isinstance(value, list | tuple) else [value]
    return {k: v for k, v in zip(names, several, strict=False) if v is not None}


def _ignored_classes(loss: Any) -> set[int] | None:
    """The labels that a sparse categorical loss passes over; None for any other loss."""
    if not isinstance(loss, str) and not callable(loss):  # a list of them, for nested outputs
        return None
    found = keras.losses.get(loss)
    function, settings = getattr(found, "fn", found), getattr(found, "_fn_kwargs", {})
    if function is not keras.losses.sparse_categorical_crossentropy:
        return None
    if settings.get("axis", -1) != -1:
        return None
    ignored = settings.get("ignore_class")
    return set() if ignored is None else {ignored}


def _highest(label: Any, classes: tuple[str, ...] | None, ignored: set[int]) -> int:
    """One output is too few for any labels: its softmax is 1 whatever the input."""
    declared = range(len(classes)) if classes else range(2)
    seen: list[int] = np.unique(np.asarray(label).astype(np.int64)).tolist()
    return max(int(number) for number in {*declared, *seen} - ignored)


def _too_few(judged: _Judged) -> DataError:
    count = judged.highest + 1
    names = judged.classes[:5] if judged.classes else ()
    shown = f" ({', '.join(names)}{', ...' if len(judged.classes or ()) > 5 else ''})"
    binary = (
        " For two classes, Dense(1, activation='sigmoid') with binary_crossentropy will do too."
    )
    return DataError(
        f"The model of {FILE} has too few outputs for the classes of the label {judged.name!r}.",
        received=f"{judged.outputs} output{'s' if judged.outputs != 1 else ''}, with the loss "
        "sparse_categorical_crossentropy",
        expected=f"at least {count}, one for each class{shown if names else ''}",
        fix=f"Make the last layer Dense({count})" + (f".{binary}" if count == 2 else "."),
    )
