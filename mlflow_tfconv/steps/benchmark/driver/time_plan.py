"""How long each turn takes, so that all timing together fits into the minutes that there are."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig

_FOR_TIMING = 0.6  # of what an item has: the rest is for warming up and for trying again
_LATER_WARMUP_S = 0.05  # between turns a model only gets its caches back


@dataclass(slots=True, kw_only=True)
class TimePlan:
    """The budget of all timing.

    Attributes:
        config: What was asked for.
        items: Variants times batch sizes.
        started: When the timing began, of `time.monotonic`; None before.
        spent_s: What was spent on timing so far.
    """

    config: BenchmarkConfig
    items: int
    started: float | None = None
    spent_s: float = 0.0

    def begin(self) -> None:
        """Time runs from now on."""
        self.started = time.monotonic()

    def pause(self) -> None:
        """What comes now is no timing."""
        if self.started is not None:
            self.spent_s += time.monotonic() - self.started
        self.started = None

    def left_s(self) -> float:
        """Seconds that are left for single stream; infinite without a limit."""
        running = 0.0 if self.started is None else time.monotonic() - self.started
        return self._share_s() - self.spent_s - running

    def arguments(self, number: int, longer: float) -> dict[str, Any]:
        """The limits of one turn.

        Args:
            number: Of the round, from 0.
            longer: How many times as long as planned.
        """
        config = self.config
        item_s = self._share_s() / max(self.items, 1)
        longest_s = min(max(config.max_time_s, config.min_time_s * longer), _FOR_TIMING * item_s)
        seconds = min(config.min_time_s * longer, longest_s)
        warmup_limit_s = min(config.warmup_limit_s, (1 - _FOR_TIMING) / 2 * item_s)
        if number:
            warmup_limit_s = min(warmup_limit_s, _LATER_WARMUP_S)
        return {
            "min_time_s": seconds / config.blocks,
            "min_count": math.ceil(config.min_count * longer / config.blocks),
            "warmup_time_s": 0.0 if number else min(config.warmup_time_s, warmup_limit_s),
            "warmup_limit_s": warmup_limit_s,
            "limit_s": max(longest_s / config.blocks, 1e-3),
        }

    def is_over(self, spent_s: float, longer: float) -> bool:
        """Whether a batch size of a slow model has had its time.

        Args:
            spent_s: What its rounds have taken so far, warm-up and all.
            longer: How many times as long as planned.
        """
        return spent_s > max(self.config.max_time_s, self.config.min_time_s * longer)

    def for_scenarios(self, variants: int) -> BenchmarkConfig:
        """The config whose other scenarios keep to their share of the minutes."""
        share_s = self._share_s() / max(variants, 1)
        if not math.isfinite(share_s):
            return self.config
        shorter = {
            name: dataclasses.replace(own, time_limit_s=min(own.time_limit_s, share_s))
            for name in ("offline", "server", "concurrent")
            for own in (getattr(self.config, name),)
        }
        return dataclasses.replace(self.config, **shorter)

    def _share_s(self) -> float:
        minutes = self.config.minutes
        return math.inf if minutes is None else minutes * 60 / len(self.config.scenarios)
