"""One trial: its settings, how far it is, what has become of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow_tfconv.steps.train.trials.samplers import Told


@dataclass(slots=True, kw_only=True)
class Trial:
    """A trial as the search sees it.

    Attributes:
        number: Counted from 1.
        values: Dotted key to its value.
        fingerprint: Of all that decides its result.
        state: "running" | "done" | "pruned" | "failed".
        scores: The metric after each epoch, as far as it is.
        score: The metric at the epoch whose weights are kept; of a pruned trial the best so far.
        reason: Why it was pruned or failed, in words.
        host_peak_mb: Largest resident memory of its processes in MB (10^6 bytes), or None.
        gpu_peak_mb: Most that TensorFlow had allocated on a GPU, or None.
        seconds: How long it took, in all its processes.
        kept: Whether its result was there before.
        said_ms: When it said its last metric, in milliseconds since the epoch; 0 before.
    """

    number: int
    values: Mapping[str, Any]
    fingerprint: str
    state: str = "running"
    scores: list[float] = field(default_factory=list)
    score: float | None = None
    reason: str = ""
    host_peak_mb: float | None = None
    gpu_peak_mb: float | None = None
    seconds: float = 0.0
    kept: bool = False
    said_ms: int = 0

    @property
    def run(self) -> str:
        """The name of its child run."""
        return f"trial/{self.number:02d}"

    @property
    def epochs(self) -> int:
        """How many epochs it has trained."""
        return len(self.scores)

    @property
    def title(self) -> str:
        """The beginning of a sentence about it."""
        return f"Trial {self.number} ({settings_in_words(self.values)})"

    def told(self) -> Told:
        """As a sampler sees it."""
        useless = self.score is not None and math.isnan(self.score)
        return Told(
            values=self.values,
            score=None if useless else self.score,
            state="failed" if useless else self.state,
        )

    def __str__(self) -> str:
        """Such as "trial 3 (dropout 0.1, batch_size 64)"."""
        return f"t{self.title[1:]}"


def settings_in_words(values: Mapping[str, Any]) -> str:
    """Settings for a line of text."""
    return ", ".join(f"{key.removeprefix('params.')} {plain(v)}" for key, v in values.items())


def plain(value: Any) -> str:
    """A value of a setting, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value) or repr(value)
