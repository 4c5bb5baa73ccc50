"""The learning rate of a model's optimizer, of Keras 3 and of tf_keras, and how it changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.callbacks_config import LearningRateConfig

_WARMUP_PART = 0.1


def optimizer_of(model: Any) -> Any:
    """The optimizer that moves the weights, under one that scales the loss; None without one."""
    optimizer = getattr(model, "optimizer", None)
    return getattr(optimizer, "inner_optimizer", optimizer)


def rate_of(model: Any) -> float | None:
    """The learning rate now; None where there is not exactly one."""
    try:
        rate = optimizer_of(model).learning_rate
    except AttributeError:  # no optimizer, or one of several with rates of their own
        return None
    return float(rate.numpy() if hasattr(rate, "numpy") else rate)


def set_rate(model: Any, rate: float) -> None:
    """Changes the learning rate.

    Raises:
        ConfigError: The optimizer has a schedule of its own, or there is none.
    """
    try:
        optimizer_of(model).learning_rate = rate
    except (AttributeError, TypeError) as error:
        raise ConfigError(
            "The learning rate of this model can't be set.",
            received=_described(model),
            expected="one optimizer, compiled with a number as its learning rate",
            fix="Take `learning_rate`, `learning_rates` and `reduce_on_plateau` out of recipe.yaml, "
            "or the schedule out of steps/train.py.",
        ) from error


def _described(model: Any) -> str:
    optimizer = optimizer_of(model)
    if optimizer is None:
        return "a model without an optimizer"
    schedule = getattr(optimizer, "_learning_rate", None)
    return f"{type(optimizer).__name__} with {type(schedule).__name__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The learning rate over a whole training.

    Attributes:
        config: The schedule.
        initial: The rate after the warm-up.
        epochs: Epochs of the training.
        tick: What part of an epoch passes between two changes.
    """

    config: LearningRateConfig
    initial: float
    epochs: int
    tick: float

    @property
    def warmup(self) -> float:
        """Epochs of the warm-up."""
        said = self.config.warmup_epochs
        if said is None and self.config.schedule == "warmup_cosine":
            return _WARMUP_PART * self.epochs
        return said or 0.0

    def changes_at(self, done: float) -> bool:
        """Whether the schedule decides the rate there, or leaves it to others."""
        return self.config.schedule != "constant" or done <= self.warmup + self.tick

    def rate(self, done: float) -> float:
        """The rate of the training step, or epoch, that begins after `done` epochs."""
        if done < self.warmup:
            return self.initial * min((done + self.tick) / self.warmup, 1.0)
        return _SCHEDULES[self.config.schedule](self, done)

    def part(self, done: float) -> float:
        """How far the way after the warm-up is gone, 0 to 1."""
        return min((done - self.warmup) / max(self.epochs - self.warmup, self.tick), 1.0)

    def multiplied(self, times: float) -> float:
        """The rate after so many multiplications."""
        return float(self.initial * self.config.factor**times)


def _wave(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _cosine(course: Course, done: float) -> float:
    return _wave(course.initial, course.config.final, course.part(done))


def _exponential(course: Course, done: float) -> float:
    return course.multiplied((done - course.warmup) / course.config.every)


def _step(course: Course, done: float) -> float:
    # Sums of parts of an epoch may lie a little below the whole one.
    done += 1e-9
    if course.config.at:
        return course.multiplied(sum(epoch <= done for epoch in course.config.at))
    return course.multiplied((done - course.warmup) // course.config.every)


def _polynomial(course: Course, done: float) -> float:
    end = course.config.final
    return float(end + (course.initial - end) * (1 - course.part(done)) ** course.config.power)


def _one_cycle(course: Course, done: float) -> float:
    rise, part = course.config.rise, course.part(done)
    if part < rise:
        return _wave(course.initial / course.config.divide, course.initial, part / rise)
    return _wave(course.initial, course.config.final, (part - rise) / (1 - rise))


def _constant(course: Course, done: float) -> float:
    del done  # nothing changes
    return course.initial


_SCHEDULES: dict[str, Callable[[Course, float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "warmup_cosine": _cosine,
    "exponential": _exponential,
    "step": _step,
    "polynomial": _polynomial,
    "one_cycle": _one_cycle,
}
