"""What may be asked of the callbacks of training: learning rates, checkpoints, logs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.out_of_range import above, at_least, out_of_range

Schedule = Literal[
    "constant", "cosine", "warmup_cosine", "exponential", "step", "polynomial", "one_cycle"
]
#: Keys that only some schedules look at.
_USED_BY = {
    "final": ("cosine", "warmup_cosine", "polynomial", "one_cycle"),
    "factor": ("exponential", "step"),
    "every": ("exponential", "step"),
    "at": ("step",),
    "power": ("polynomial",),
    "rise": ("one_cycle",),
    "divide": ("one_cycle",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRateConfig:
    """How the learning rate changes while the model trains.

    Attributes:
        schedule: "constant"; "cosine" (half a wave from `initial` to `final`); "warmup_cosine" (the
            same, with a warm-up of a tenth of the epochs unless `warmup_epochs` says another);
            "exponential" (times `factor` every `every` epochs, smoothly); "step" (times `factor` at
            once, every `every` epochs or at the epochs in `at`); "polynomial" (from `initial` to
            `final` with `power`); "one_cycle" (up from `initial` / `divide` for the first `rise` of
            the training, then down to `final`, both as half a wave).
        initial: The rate after the warm-up, the highest one of a cycle; null takes the rate that
            the model was compiled with.
        final: The rate at the end of "cosine", "polynomial" and "one_cycle".
        warmup_epochs: Epochs, or part of one, over which the rate first grows from 0 in a line.
        factor: What "exponential" and "step" multiply by.
        every: Epochs between two multiplications.
        at: Numbers of finished epochs after which "step" multiplies; instead of `every`.
        power: Of "polynomial"; 1 is a line.
        rise: Part of the training in which "one_cycle" rises.
        divide: How far below `initial` "one_cycle" begins.
        by: Whether the rate changes in every "step" or "epoch" of training.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    schedule: Schedule = "constant"
    initial: float | None = None
    final: float = 0.0
    warmup_epochs: float | None = None
    factor: float = 0.1
    every: float = 1.0
    at: tuple[float, ...] = ()
    power: float = 1.0
    rise: float = 0.3
    divide: float = 25.0
    by: Literal["step", "epoch"] = "step"

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if self.initial is not None:
            above(0, "learning_rate.initial", self.initial)
        at_least(0, "learning_rate.final", self.final)
        at_least(0, "learning_rate.warmup_epochs", self.warmup_epochs or 0.0)
        for name in ("factor", "every", "power", "divide"):
            above(0, f"learning_rate.{name}", getattr(self, name))
        if not 0 < self.rise < 1:
            raise out_of_range("learning_rate.rise", self.rise, "a number between 0 and 1")
        if list(self.at) != sorted(set(self.at)) or any(not epoch > 0 for epoch in self.at):
            raise out_of_range("learning_rate.at", list(self.at), "epochs above 0, in order")
        self._check_used()

    def _check_used(self) -> None:
        """A key that its schedule does not look at is a mistake that nobody would see."""
        for name, schedules in _USED_BY.items():
            default = type(self).__dataclass_fields__[name].default
            if self.schedule not in schedules and getattr(self, name) != default:
                raise ConfigError(
                    f"train.learning_rate.{name} means nothing to the schedule {self.schedule!r}.",
                    received=f"{name}: {getattr(self, name)}",
                    expected=f"schedule: {' or '.join(schedules)}",
                    fix=f"Take `{name}` out, or choose another schedule.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateauConfig:
    """When to lower the learning rate because the model no longer gets better.

    Attributes:
        factor: What the rate is multiplied by.
        patience: Epochs without improvement after which that happens.
        min_delta: Smallest change that counts as an improvement.
        cooldown: Epochs after that in which none are counted.
        min_rate: The rate is not made smaller than this.
        monitor: Metric to watch; null takes `train.monitor`.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    factor: float = 0.1
    patience: int = 3
    min_delta: float = 0.0
    cooldown: int = 0
    min_rate: float = 0.0
    monitor: str | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 0 < self.factor < 1:
            raise out_of_range("reduce_on_plateau.factor", self.factor, "a number between 0 and 1")
        at_least(1, "reduce_on_plateau.patience", self.patience)
        for name in ("min_delta", "cooldown", "min_rate"):
            at_least(0, f"reduce_on_plateau.{name}", getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointsConfig:
    """Which models are kept besides that of the best epoch, in the folder `checkpoints`.

    Attributes:
        keep: How many; the older ones are deleted.
        every: Epochs between two of them.
        best_only: Whether only epochs that are better than all before them are kept.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    keep: int = 3
    every: int = 1
    best_only: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges."""
        at_least(1, "checkpoints.keep", self.keep)
        at_least(1, "checkpoints.every", self.every)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorBoardConfig:
    """What is logged for TensorBoard besides the scalars of every epoch.

    Attributes:
        histograms_every: Epochs between two histograms of weights and gradients; 0 makes none.
        profile_steps: First and last training step of this run to profile, such as [10, 20].
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    histograms_every: int = 0
    profile_steps: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        at_least(0, "tensorboard.histograms_every", self.histograms_every)
        if self.profile_steps is not None:
            first, last = self.profile_steps
            if not 1 <= first <= last:
                raise out_of_range(
                    "tensorboard.profile_steps",
                    list(self.profile_steps),
                    "two steps, the first at least 1 and not after the last",
                )


def check_rates(rate: float | LearningRateConfig | None, plateau: PlateauConfig | None) -> None:
    """Refuses a rate that is no rate, and two that would overwrite each other.

    Raises:
        ConfigError: They don't go together.
    """
    if isinstance(rate, int | float) and not (rate > 0 and math.isfinite(rate)):
        raise out_of_range("learning_rate", rate, "a finite number above 0")
    if plateau is None or not isinstance(rate, LearningRateConfig) or rate.schedule == "constant":
        return
    raise ConfigError(
        "train.learning_rate and train.reduce_on_plateau would overwrite each other.",
        received=f"schedule: {rate.schedule}, and reduce_on_plateau",
        expected="one of the two",
        fix="Take one out; a constant rate with a warm-up goes with reduce_on_plateau.",
    )
