"""What may be tried out: a search over settings of the training, of which the best goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.dotted_keys import check_key
from mlflow_tfconv.steps.train.out_of_range import at_least

#: Most combinations that are held at once.
MOST_COUNTED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers between two bounds, whole ones when both bounds are whole.

    Attributes:
        low: The smallest.
        high: The greatest.
        log: Whether the order of magnitude is drawn evenly, as for a learning rate.
        step: Distance of one value from the next, from `low` on; null takes any number between.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    def __post_init__(self) -> None:
        """Checks that there is something between the bounds."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise _wrong(
                "space",
                "a range has no numbers",
                f"low: {self.low}, high: {self.high}",
                "low < high",
            )
        if self.log and self.low <= 0:
            raise _wrong("space", "a range by magnitude begins at 0", f"low: {self.low}", "low > 0")
        if self.step is not None and (self.log or not 0 < self.step <= self.high - self.low):
            raise _wrong(
                "space",
                "a range has a step that does not fit",
                f"log: {self.log}, step: {self.step}",
                "log or step, and a step of at most high - low",
            )

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole."""
        return all(isinstance(n, int) for n in (self.low, self.high, self.step or 1))

    @property
    def count(self) -> int | None:
        """How many numbers there are, when they can be counted."""
        step = self._distance
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    def at(self, position: int) -> int | float:
        """One of those that can be counted, from 0 on; 0.1, 0.2, 0.3 and not 0.30000000000000004."""
        step = self._distance
        assert step is not None  # noqa: S101 (the caller has counted)
        found = Decimal(str(self.low)) + position * Decimal(str(step))
        return int(found) if self.is_whole else float(found)

    def numbers(self) -> tuple[int | float, ...] | None:
        """All of them, when they can be counted."""
        return None if self.count is None else tuple(self.at(n) for n in range(self.count))

    @property
    def _distance(self) -> int | float | None:
        return self.step or (1 if self.is_whole and not self.log else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneConfig:
    """When a trial that does worse than the others is ended early.

    Attributes:
        method: "median" ends a trial that is worse than half of the others were after as many
            epochs; "halving" lets only the best go on whenever the number of epochs has grown by
            the factor `reduction` (asynchronous successive halving).
        after_epochs: Epochs that every trial may train.
        after_trials: Trials that must have come as far before one is compared with them.
        reduction: Of how many trials "halving" lets one go on.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    method: Literal["median", "halving"] = "median"
    after_epochs: int = 1
    after_trials: int = 4
    reduction: int = 3

    def __post_init__(self) -> None:
        """Checks the ranges."""
        at_least(1, "trials.prune.after_epochs", self.after_epochs)
        at_least(1, "trials.prune.after_trials", self.after_trials)
        at_least(2, "trials.prune.reduction", self.reduction)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialsConfig:
    """Trainings with other settings, each in a process of its own, of which the best goes on.

    Attributes:
        space: What is tried: a key of `train` in dotted form, such as `params.dropout`,
            `batch_size` or `early_stopping.patience`, to a list of values or to a range
            `{low, high, log, step}`.
        sampler: "grid" tries all combinations, "random" draws them, "tpe" draws them where trials
            before were good (needs the extra `search`).
        count: How many trials; null takes all of a grid, else 20.
        parallel: How many train side by side, on the same device.
        memory_limit_mb: Most memory a trial may take, in MB (10^6 bytes): of the GPU, or on the
            CPU the resident memory of its processes. One that needs more fails alone. null takes
            no limit.
        metric: Metric that tells the best trial, at the epoch whose weights are kept; null takes
            `train.monitor`.
        direction: Whether a smaller or a greater value of it is better; "auto" takes `train.mode`,
            or tells it from the name.
        prune: When bad trials are ended early; null lets all finish.
        seed: Decides what is drawn.
        timeout_s: Seconds after which no further trial begins; null sets no end.
        trial_timeout_s: Seconds after which a trial that still trains has failed; null lets it
            train on.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    space: dict[str, list[Any] | Range]
    sampler: Literal["grid", "random", "tpe"] = "grid"
    count: int | None = None
    parallel: int = 1
    memory_limit_mb: int | None = None
    metric: str | None = None
    direction: Literal["auto", "min", "max"] = "auto"
    prune: PruneConfig | None = None
    seed: int = 0
    timeout_s: float | None = None
    trial_timeout_s: float | None = None

    def __post_init__(self) -> None:
        """Checks what does not hang on the rest of `train`."""
        for key in ("count", "parallel", "memory_limit_mb", "timeout_s", "trial_timeout_s"):
            if getattr(self, key) is not None:
                at_least(1, f"trials.{key}", getattr(self, key))
        at_least(0, "trials.seed", self.seed)
        if not self.space:
            raise _wrong("space", "nothing is to be tried", "{}", "{params.dropout: [0.1, 0.3]}")
        for key, values in self.space.items():
            if not isinstance(values, Range) and not values:
                raise _wrong(
                    f"space.{key}", "there is no value", "[]", "a list of values, or a range"
                )
        self._check_grid()

    def _check_grid(self) -> None:
        if self.sampler != "grid":
            return
        if self.count is not None:
            raise _wrong(
                "count", "a grid is tried whole", f"count: {self.count}", "no `count`, or a sampler"
            )
        counts = [
            values.count or 1 if isinstance(values, Range) else len(values)
            for values in self.space.values()
        ]
        if math.prod(counts) > MOST_COUNTED:
            raise _wrong(
                "space",
                "a grid would have too many trials",
                " x ".join(map(str, counts)),
                f"at most {MOST_COUNTED:,}, or the sampler random or tpe with a `count`",
            )
        for key, values in self.space.items():
            if isinstance(values, Range) and values.count is None:
                raise _wrong(
                    f"space.{key}",
                    "a grid can't try all numbers of a range",
                    f"{{low: {values.low}, high: {values.high}}}",
                    "a list, a range with a `step`, or the sampler random",
                )

    def check_against(self, config: type) -> None:
        """Makes sure that what is tried are keys of `train`.

        Args:
            config: The class TrainConfig.

        Raises:
            ConfigError: One is not.
        """
        for key in self.space:
            check_key(config, key)


def _wrong(key: str, what: str, received: str, expected: str) -> ConfigError:
    return ConfigError(
        f"train.trials.{key} can't be used: {what}.",
        received=received,
        expected=expected,
        fix="Change `trials` of the step train in recipe.yaml.",
    )
