"""What may be asked of `train`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStoppingConfig:
    """When to stop before the last epoch.

    Attributes:
        patience: Epochs without improvement after which training stops.
        min_delta: Smallest change that counts as an improvement.
        monitor: Metric to watch; null takes `train.monitor`.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    patience: int = 5
    min_delta: float = 0.0
    monitor: str | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        _at_least(1, "early_stopping.patience", self.patience)
        _at_least(0, "early_stopping.min_delta", self.min_delta)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How the model of `steps/train.py` is trained.

    Attributes:
        using: "custom" for `steps/train.py`, or the import path of a step class of your own.
        epochs: Most passes over the training split.
        batch_size: Examples a training step.
        params: Keyword arguments of `model_fn`, such as `{dropout: 0.2}`.
        seed: Decides initial weights, shuffling and dropout.
        shuffle: Whether every epoch reads the examples in another order.
        monitor: Metric that tells the best epoch, whose weights are kept.
        mode: Whether a smaller ("min") or a greater ("max") value of it is better; "auto" tells it
            from the metric.
        early_stopping: When to stop before the last epoch; null never does.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: Literal["custom"] = "custom"
    epochs: int = 10
    batch_size: int = 32
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    shuffle: bool = True
    monitor: str = "val_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    early_stopping: EarlyStoppingConfig | None = field(default_factory=EarlyStoppingConfig)

    def __post_init__(self) -> None:
        """Checks the ranges."""
        _at_least(1, "epochs", self.epochs)
        _at_least(1, "batch_size", self.batch_size)
        _at_least(0, "seed", self.seed)
        if self.seed >= 2**32:
            raise _out_of_range("seed", self.seed, "a whole number below 2**32")


def _at_least(least: int, key: str, value: float) -> None:
    if value < least:
        raise _out_of_range(key, value, f"a number of at least {least}")


def _out_of_range(key: str, value: float, expected: str) -> ConfigError:
    return ConfigError(
        f"train.{key} is out of range.",
        received=value,
        expected=expected,
        fix=f"Change `{key}` of the step train in recipe.yaml.",
    )
