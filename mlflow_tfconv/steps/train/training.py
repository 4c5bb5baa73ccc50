"""A finished training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A finished training.

    Attributes:
        model: With the weights of the best epoch.
        path: The model's file, of a format that `convert` reads.
        history: Metric name to one value an epoch.
        best_epoch: Counted from 1.
        monitor: The metric that told the best epoch.
        test: Metric name (`test_loss`, ...) to its value on the test split; empty without one.
        memory: Metric name (`training/host_peak_mb`, ...) to one value an epoch.
        in_force: What TensorFlow computed with: device, precision, XLA, ...
    """

    model: Any
    path: Path
    history: dict[str, tuple[float, ...]]
    best_epoch: int
    monitor: str
    test: dict[str, float]
    memory: dict[str, tuple[float, ...]] = field(default_factory=dict)
    in_force: dict[str, Any] = field(default_factory=dict)
