"""What a training loop of the user's own gets, and what it tells."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf


@dataclass(slots=True, kw_only=True)
class Epoch:
    """One epoch of `train_fn(model, epoch)`.

    Attributes:
        number: Counted from 0.
        validation: Batches of the validation split, to be read as often as one likes; None
            without one.
        source: The batches that are left of the epoch.
        begun: Called with the number of a batch, counted from 0, before it is handed out.
        steps: Batches that were handed out, those before a restart included.
    """

    number: int
    validation: tf.data.Dataset | None
    source: Iterator[Any]
    begun: Callable[[int], None]
    steps: int = 0

    @property
    def batches(self) -> Iterator[Any]:
        """The batches to train on: (features, label), with weights after them if there are any.

        After a restart within the epoch they begin where it was.
        """
        for batch in self.source:
            self.begun(self.steps)
            self.steps += 1
            yield batch


@dataclass(slots=True)
class Means:
    """The means of what was told of the batches of an epoch.

    Attributes:
        sums: Metric name to the sum of its values, and their number.
    """

    sums: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, told: Mapping[str, Any]) -> dict[str, float]:
        """Takes what was told of a batch; gives the means so far."""
        for name, value in told.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + float(value), count + 1)
        return self.values()

    def values(self) -> dict[str, float]:
        """Metric name to its mean."""
        return {name: total / count for name, (total, count) in self.sums.items()}

    def to_bytes(self) -> bytes:
        """For the backup."""
        return pickle.dumps(self.sums)

    @classmethod
    def from_bytes(cls, data: bytes) -> Means:
        """The inverse of `to_bytes`."""
        # Written by this step into its own folder.
        return cls(pickle.loads(data)) if data else cls()  # noqa: S301
