"""Batches of examples for calibration and for trying a variant out, checked before use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import Dataset, TensorSpec
from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.runtimes.batches_of import Samples, batches_of

Batch = dict[str, np.ndarray[Any, Any]]

BATCH_SIZE = 32
_FEW = 64


@dataclass(slots=True, kw_only=True)
class Examples:
    """Where batches come from: a dataset's train split, or a list that was given.

    Attributes:
        dataset: The data of the recipe.
        given: What a caller gave, to be gone through more than once; it wins over the dataset.
        input_map: Model input to feature, where the names differ.
        seed: Decides the sample.
    """

    dataset: Dataset | None = None
    given: Samples | None = None
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
            CompressionError: There are none, or they are of no use.
            ConfigError: They don't fit the model.
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


def checked(samples: Samples, inputs: Sequence[TensorSpec]) -> Iterator[Batch]:
    """The batches, as arrays of the model's own dtypes.

    Raises:
        ConfigError: There are none, or a name, a shape or a dtype is wrong.
        CompressionError: There are NaN or infinite values, or every value of every float input is
            the same.
    """
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    floats = [spec.name for spec in inputs if spec.dtype.startswith("float")]
    for number, batch in enumerate(batches_of(samples, inputs, what="calibration data")):
        for name in floats:
            array = batch[name]
            if not np.isfinite(array).all():
                what = f"Input `{name}` in batch {number} of the calibration data"
                raise _unfit(f"{what} has NaN or infinite values.", expected="finite numbers")
            lowest[name] = min(lowest.get(name, np.inf), float(array.min()))
            highest[name] = max(highest.get(name, -np.inf), float(array.max()))
        yield batch
    if lowest and lowest == highest:
        raise _unfit("The calibration data are constant.", received=f"only the values {lowest}")


def _unfit(what: str, *, received: object = None, expected: object = None) -> CompressionError:
    return CompressionError(
        what,
        received=received,
        expected=expected,
        fix="Calibrate with examples like those the model will meet, prepared as for training.",
    )
