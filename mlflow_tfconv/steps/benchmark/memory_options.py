"""How memory is measured, and for which budget."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_tfconv.steps.benchmark.option_rules import require


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOptions:
    """How memory is measured.

    Attributes:
        budget_mb: `footprint/largest_batch` is the largest batch that fits into this (10^6 bytes;
            of the GPU where one computes, else of the process); nothing asks for none.
        interval_ms: Time between two points of the curve of memory over time. The peak of the host
            does not depend on it: the kernel keeps it.
        estimate: Whether the memory is also estimated from the model's shapes.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    budget_mb: float | None = None
    interval_ms: float = 5.0
    estimate: bool = True

    def __post_init__(self) -> None:
        sensible = self.budget_mb is None or 0 < self.budget_mb < float("inf")
        expected = "a number of MB above 0, or null"
        require(sensible, "memory.budget_mb", self.budget_mb, expected)
        fits = 0.5 <= self.interval_ms <= 1000
        require(fits, "memory.interval_ms", self.interval_ms, "between 0.5 and 1000 ms")
