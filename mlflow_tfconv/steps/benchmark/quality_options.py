"""How the quality of the variants is judged."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityOptions:
    """How the quality of the variants is judged.

    Attributes:
        resamples: How often the examples are drawn anew for the intervals; 0 gives none.
        function_time_s: About how long a function of steps/evaluate.py may be called for its
            interval, for each variant; one that is too slow for 40 calls gets none.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    resamples: int = 1000
    function_time_s: float = 0.5

    def __post_init__(self) -> None:
        if self.resamples and not 400 <= self.resamples <= 100_000:
            raise ConfigError(
                "benchmark.quality.resamples can't be used.",
                received=repr(self.resamples),
                expected="400 to 100,000, or 0 for no intervals",
                fix="Leave it out: 1,000 is enough for intervals of 95 %.",
            )
        if self.function_time_s < 0:
            raise ConfigError(
                "benchmark.quality.function_time_s can't be used.",
                received=repr(self.function_time_s),
                expected="0 or more seconds",
            )
