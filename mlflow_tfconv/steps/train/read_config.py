"""How `train` reads examples of varying length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.steps.train.out_of_range import at_least


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadConfig:
    """How examples of varying length become batches.

    Attributes:
        ragged: Whether the model gets tf.RaggedTensor; otherwise batches are padded with zeros.
        bucket_by: A feature of varying length: examples that are about as long come together in a
            batch, so that little of it is padding; null leaves them as they come.
        bucket_boundaries: Lengths that batches are padded to, so that few different shapes come;
            without them to the longest example of the batch.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    ragged: bool = False
    bucket_by: str | None = None
    bucket_boundaries: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for length in self.bucket_boundaries:
            at_least(1, "read.bucket_boundaries", length)

    def arguments(self) -> dict[str, Any]:
        """Those of `read_dataset`."""
        return {
            "ragged": self.ragged,
            "bucket_by": self.bucket_by,
            "bucket_boundaries": self.bucket_boundaries,
        }
