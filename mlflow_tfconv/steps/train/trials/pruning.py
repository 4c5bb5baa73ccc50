"""Which trials are not worth finishing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow_tfconv.steps.train.trials_config import PruneConfig


@dataclass(frozen=True, slots=True)
class Pruner:
    """Compares a trial with the others after as many epochs.

    Attributes:
        config: How; None prunes nothing.
        direction: "min" or "max": what is better.
    """

    config: PruneConfig | None
    direction: str

    def reason(self, scores: Sequence[float], others: Mapping[int, Sequence[float]]) -> str | None:
        """Why a trial is to be ended now, in words; None to let it go on.

        Args:
            scores: The metric of the trial, one an epoch.
            others: Number of every other trial to the same, of those that did not fail.
        """
        config, epoch = self.config, len(scores)
        if config is None or epoch < config.after_epochs:
            return None
        as_far = [list(found[:epoch]) for found in others.values() if len(found) >= epoch]
        if len(as_far) < config.after_trials:
            return None
        if config.method == "median":
            return self._below_median(scores, [self.best(found[-1:]) for found in as_far])
        return self._out_of_rung(scores, as_far)

    def _below_median(self, scores: Sequence[float], others: Sequence[float]) -> str | None:
        """As in Vizier (Golovin et al. 2017): the best so far against the others' median."""
        median, best = statistics.median(others), self.best(scores)
        if not self._is_worse(best, median):
            return None
        return f"{best:.4g} at best, the median of the others after epoch {len(scores)} is {median:.4g}"

    def _out_of_rung(
        self, scores: Sequence[float], others: Sequence[Sequence[float]]
    ) -> str | None:
        """As in ASHA (Li et al. 2020): of those that came to a rung the best third goes on."""
        assert self.config is not None  # noqa: S101 (the caller has asked)
        rung, reduction = self.config.after_epochs, self.config.reduction
        while rung < len(scores):
            rung *= reduction
        if rung != len(scores):
            return None
        best = self.best(scores)
        at_rung = sorted(
            [best, *(self.best(found) for found in others)], reverse=self.direction == "max"
        )
        kept = max(1, len(at_rung) // reduction)
        if not self._is_worse(best, at_rung[kept - 1]):
            return None
        return f"{best:.4g} at best, of {len(at_rung)} trials at epoch {rung} the {kept} best go on"

    def best(self, scores: Sequence[float]) -> float:
        """The best of some values; one that is no number is the worst."""
        worst = math.inf if self.direction == "min" else -math.inf
        known = (worst if math.isnan(score) else score for score in scores)
        return min(known) if self.direction == "min" else max(known)

    def _is_worse(self, one: float, other: float) -> bool:
        return one > other if self.direction == "min" else one < other
