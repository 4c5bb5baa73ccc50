"""Which settings a trial tries: the same for the same seed, also after a restart."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mlflow_tfconv.steps.train.trials_config import MOST_COUNTED, Range, TrialsConfig

_DEFAULT_COUNT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known of an earlier trial.

    Attributes:
        values: Dotted key to its value.
        score: The metric, or None as long as it trains, or when it failed.
        state: "running" | "done" | "pruned" | "failed".
    """

    values: Mapping[str, Any]
    score: float | None
    state: str


class Sampler(Protocol):
    """Proposes settings."""

    @property
    def total(self) -> int:
        """How many trials."""

    def propose(self, number: int, told: Sequence[Told]) -> dict[str, Any]:
        """Dotted key to its value, for the trial of this number, counted from 1.

        Args:
            number: The trial.
            told: The trials before it.
        """


@dataclass(frozen=True, slots=True)
class Listed:
    """Proposes one of a list after the other.

    Attributes:
        combinations: All that will be tried.
    """

    combinations: Sequence[dict[str, Any]]

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.combinations)

    def propose(self, number: int, told: Sequence[Told]) -> dict[str, Any]:  # noqa: ARG002 (a Sampler)
        """The one of this number."""
        return self.combinations[number - 1]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Draws every trial anew, from the seed and its number alone.

    Attributes:
        space: What may be drawn.
        seed: Decides it.
        total: How many trials.
    """

    space: Mapping[str, list[Any] | Range]
    seed: int
    total: int

    def propose(self, number: int, told: Sequence[Told]) -> dict[str, Any]:  # noqa: ARG002 (a Sampler)
        """One value for each key."""
        draw = random.Random(f"{self.seed} {number}")  # noqa: S311 (nothing secret)
        return {key: drawn(draw, values) for key, values in self.space.items()}


def sampler_of(config: TrialsConfig, direction: str) -> Sampler:
    """The sampler of a config.

    Args:
        config: The search.
        direction: "min" or "max", for the samplers that learn.

    Raises:
        MissingLibraryError: The sampler needs Optuna, which is not installed.
    """
    every = combinations(config.space)
    count = config.count or (len(every) if config.sampler == "grid" and every else _DEFAULT_COUNT)
    if config.sampler == "tpe":
        from mlflow_tfconv.steps.train.trials.tree_of_parzen import TreeOfParzen

        return TreeOfParzen(config.space, config.seed, count, direction)
    if config.sampler == "grid" and every is not None:
        return Listed(every)
    if every is not None:
        # Few combinations: none of them twice.
        mixed = list(every)
        random.Random(config.seed).shuffle(mixed)  # noqa: S311 (nothing secret)
        return Listed(mixed[:count])
    return Drawn(config.space, config.seed, count)


def combinations(space: Mapping[str, list[Any] | Range]) -> list[dict[str, Any]] | None:
    """All combinations, the last key changing fastest; None when they can't be counted."""
    counts = [v.count if isinstance(v, Range) else len(v) for v in space.values()]
    if math.prod(math.inf if count is None else count for count in counts) > MOST_COUNTED:
        return None
    counted = [v.numbers() or () if isinstance(v, Range) else v for v in space.values()]
    return [dict(zip(space, row, strict=True)) for row in itertools.product(*counted)]


def drawn(draw: random.Random, values: list[Any] | Range) -> Any:
    """One of the values, each as likely as the others."""
    if not isinstance(values, Range):
        return draw.choice(values)
    if values.count is not None:
        return values.at(draw.randrange(values.count))
    if not values.log:
        return draw.uniform(values.low, values.high)
    found = math.exp(draw.uniform(math.log(values.low), math.log(values.high)))
    return round(found) if values.is_whole else min(max(found, values.low), values.high)
