"""How the quality of the variants is judged."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_tfconv.steps.benchmark.option_rules import require


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
        require(
            not self.resamples or 400 <= self.resamples <= 100_000,
            "quality.resamples",
            self.resamples,
            "400 to 100,000, or 0 for no intervals",
            fix="Leave it out: 1,000 is enough for intervals of 95 %.",
        )
        seconds = self.function_time_s
        require(seconds >= 0, "quality.function_time_s", seconds, "0 or more seconds")
