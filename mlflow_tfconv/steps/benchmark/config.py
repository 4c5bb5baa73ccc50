"""What may be asked of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkConfig:
    """How the variants are measured.

    Attributes:
        using: "builtin", or the import path of a step class of your own.
        batch_sizes: Each variant is timed with batches of these many examples.
        split: The examples that are predicted to judge the quality.
        examples: At most this many of them; None takes all.
        min_time_s: Each batch size is timed for at least this long,
        min_count: and at least this often.
        warmup_time_s: Runs before the timing that are not counted, at least for this long,
        warmup_limit_s: and until the times no longer fall, but not longer than this.
        time_limit_s: A variant that takes longer than this in all is stopped and marked as failed.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: Literal["builtin"] = "builtin"
    batch_sizes: tuple[int, ...] = (1, 32)
    split: str = "test"
    examples: int | None = None
    min_time_s: float = 0.5
    min_count: int = 20
    warmup_time_s: float = 0.1
    warmup_limit_s: float = 2.0
    time_limit_s: float = 600.0

    def __post_init__(self) -> None:
        _require(
            all(isinstance(size, int) for size in self.batch_sizes),
            "batch_sizes",
            self.batch_sizes,
            "whole numbers, such as [1, 32]",
        )
        _require(
            len(self.batch_sizes) > 0 and min(self.batch_sizes, default=0) > 0,
            "batch_sizes",
            self.batch_sizes,
            "one or more whole numbers above 0, such as [1, 32]",
        )
        _require(
            len(set(self.batch_sizes)) == len(self.batch_sizes),
            "batch_sizes",
            self.batch_sizes,
            "each number once",
        )
        _require(self.examples is None or self.examples > 0, "examples", self.examples, "above 0")
        _require(self.min_count > 0, "min_count", self.min_count, "above 0")
        for name in ("min_time_s", "warmup_time_s", "warmup_limit_s"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more seconds")
        _require(self.time_limit_s > 0, "time_limit_s", self.time_limit_s, "above 0 seconds")


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ConfigError(
            f"benchmark.{name} can't be used.",
            received=repr(value),
            expected=expected,
        )
