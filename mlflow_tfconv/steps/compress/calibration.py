"""Batches of examples for calibration and for trying a variant out, checked before use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import Dataset, TensorSpec
from mlflow_tfconv.errors import CompressionError

Batch = dict[str, np.ndarray[Any, Any]]

BATCH_SIZE = 32
_FEW = 64


@dataclass(slots=True, kw_only=True)
class Examples:
    """Where batches come from: a dataset's train split, or a list that was given.

    Attributes:
        dataset: The data of the recipe.
        given: Batches `{input_name: array of shape (batch, ...)}`; they win over the dataset.
        input_map: Model input to feature, where the names differ.
        seed: Decides the sample.
    """

    dataset: Dataset | None = None
    given: Sequence[Mapping[str, Any]] | None = None
    input_map: Mapping[str, str] | None = None
    seed: int = 0
    _few: dict[tuple[TensorSpec, ...], tuple[Batch, ...]] = field(init=False, default_factory=dict)

    @property
    def available(self) -> bool:
        """Whether there are any."""
        if self.given is not None:
            return True
        return self.dataset is not None and self.dataset.counts.get("train", 0) > 0

    def few(self, inputs: Sequence[TensorSpec]) -> tuple[Batch, ...]:
        """A few batches, read once: for parity and for trying variants out.

        Raises:
            CompressionError: As `sample`.
        """
        key = tuple(inputs)
        if key not in self._few:
            self._few[key] = tuple(islice(self.sample(inputs, _FEW), _FEW // BATCH_SIZE))
        return self._few[key]

    def sample(self, inputs: Sequence[TensorSpec], count: int) -> Iterator[Batch]:
        """Batches of a random sample of the whole train split, or all that were given.

        Raises:
            CompressionError: There are none, or they don't fit the model.
        """
        if self.given is not None:
            return checked(self.given, inputs)
        if self.dataset is None:
            raise CompressionError(
                "There are no examples to calibrate with.",
                expected="batches {input_name: array of shape (batch, ...)}, or a dataset",
                fix="Pass `calibration=`, or give the recipe a step `ingest`.",
            )
        from mlflow_tfconv.data.batches import feature_batches  # reads with TensorFlow

        fixed = inputs[0].shape[0] if inputs and inputs[0].shape else None
        batches = feature_batches(
            self.dataset,
            "train",
            batch_size=fixed or min(BATCH_SIZE, count),
            limit=count,
            seed=self.seed,
            input_map=self.input_map,
            inputs=inputs,
        )
        return checked(_full(batches, fixed), inputs)


def _full(batches: Iterable[Mapping[str, Any]], size: int | None) -> Iterator[Mapping[str, Any]]:
    """Leaves out a last batch that is too small for a model of one batch size."""
    for batch in batches:
        if size is None or all(len(array) == size for array in batch.values()):
            yield batch


def checked(batches: Iterable[Mapping[str, Any]], inputs: Sequence[TensorSpec]) -> Iterator[Batch]:
    """The batches, as arrays of the model's own dtypes.

    Raises:
        CompressionError: There are none; a name, a shape or a dtype is wrong; there are NaN or
            infinite values; or every value of every float input is the same.
    """
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    empty = True
    for number, batch in enumerate(batches):
        empty = False
        arrays = _arrays(batch, inputs, number)
        for spec in inputs:
            if spec.dtype.startswith("float") and arrays[spec.name].size:
                array = arrays[spec.name]
                lowest[spec.name] = min(lowest.get(spec.name, np.inf), float(array.min()))
                highest[spec.name] = max(highest.get(spec.name, -np.inf), float(array.max()))
        yield arrays
    if empty:
        raise _unfit("There are no examples in the calibration data.", received="no batch")
    if lowest and lowest == highest:
        raise _unfit("The calibration data are constant.", received=f"only the values {lowest}")


def _arrays(batch: Mapping[str, Any], inputs: Sequence[TensorSpec], number: int) -> Batch:
    if not isinstance(batch, Mapping):
        raise _unfit(
            f"Batch {number} of the calibration data is no mapping.",
            received=type(batch).__name__,
            expected=_described(inputs),
        )
    if set(batch) != {spec.name for spec in inputs}:
        raise _unfit(
            f"Batch {number} of the calibration data has other names than the model's inputs.",
            received=", ".join(map(str, batch)) or "no names",
            expected=_described(inputs),
        )
    return {spec.name: _array(batch[spec.name], spec, number) for spec in inputs}


def _array(value: Any, spec: TensorSpec, number: int) -> np.ndarray[Any, Any]:
    array = np.asarray(value)
    what = f"Input `{spec.name}` in batch {number} of the calibration data"
    if not _fits(array.shape, spec.shape):
        raise _unfit(
            f"{what} has the wrong shape.", received=array.shape, expected=_described((spec,))
        )
    if spec.dtype == "string":
        return array.astype(object)
    if not np.can_cast(array.dtype, spec.dtype, casting="same_kind"):
        raise _unfit(
            f"{what} has the wrong dtype.", received=array.dtype, expected=_described((spec,))
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise _unfit(f"{what} has NaN or infinite values.", expected="finite numbers")
    return array.astype(spec.dtype, copy=False)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return (
        len(shape) == len(wanted)
        and all(size > 0 for size in shape)
        and all(want in (None, size) for size, want in zip(shape, wanted, strict=True))
    )


def _described(inputs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name}: {spec.dtype} {spec.shape}" for spec in inputs)


def _unfit(what: str, *, received: object = None, expected: object = None) -> CompressionError:
    return CompressionError(
        what,
        received=received,
        expected=expected,
        fix="Calibrate with examples like those the model will meet, prepared as for training.",
    )
