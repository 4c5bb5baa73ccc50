"""Which metrics tell the best epoch and the end of a training."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.libraries import is_compiled, library_of

#: Parts of the names of metrics whose smaller, and greater, values are better.
_LESS = ("loss", "error", "mse", "mae", "perplexity", "entropy", "divergence", "distance")
_MORE = ("acc", "auc", "precision", "recall", "f1", "iou", "dice", "score", "r2", "similarity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """The metrics of a config that decide something.

    Attributes:
        config: What was asked for.
        validates: Whether there is a validation split; without one the same metric on the training
            split has to do.
    """

    config: TrainConfig
    validates: bool

    @property
    def best(self) -> str:
        """The metric that tells the best epoch."""
        return self.there(self.config.monitor)

    @property
    def stopping(self) -> str:
        """The metric that early stopping watches."""
        asked = self.config.early_stopping
        return self.there((asked and asked.monitor) or self.config.monitor)

    @property
    def slowing(self) -> str:
        """The metric that decides when the learning rate is lowered."""
        asked = self.config.reduce_on_plateau
        return self.there((asked and asked.monitor) or self.config.monitor)

    def mode(self, monitor: str, model: Any) -> Literal["auto", "min", "max"]:
        """Whether smaller or greater is better; "auto" where Keras 3 tells it from the metric.

        Raises:
            ConfigError: Nobody can tell.
        """
        if self.config.mode != "auto" and monitor == self.best:
            return self.config.mode
        if library_of(model) == "keras" and is_compiled(model):
            return "auto"
        name = monitor.removeprefix("val_")
        if any(word in name for word in _LESS):
            return "min"
        if any(word in name for word in _MORE):
            return "max"
        raise ConfigError(
            f"Nothing tells whether a smaller or a greater {monitor} is better.",
            received="mode: auto",
            expected="mode: min, or mode: max",
            fix="Set `mode` of the step train in recipe.yaml.",
        )

    def there(self, monitor: str) -> str:
        """The name of a metric that there will be."""
        return monitor if self.validates else monitor.removeprefix("val_")

    def check(self, names: Sequence[str]) -> None:
        """Makes sure that the metrics are among the model's.

        Raises:
            ConfigError: One is not.
        """
        known = [*names, *(f"val_{name}" for name in names if self.validates)]
        for monitor in (self.best, self.stopping, self.slowing):
            if monitor not in known:
                raise no_such_metric(monitor, known)

    def say(self, emit: Emit) -> None:
        """Warns when the metric of recipe.yaml can't be had."""
        if self.best != self.config.monitor:
            text = f"There is no validation split: the best epoch is told by {self.best}."
            emit(Message(text=text, level="warning"))


def no_such_metric(monitor: str, names: Sequence[str]) -> ConfigError:
    """The error for a metric to monitor that the model does not have."""
    near = difflib.get_close_matches(monitor, names, n=1)
    return ConfigError(
        f"The model has no metric {monitor} to monitor.",
        received=f"monitor: {monitor}",
        expected=" or ".join(names),
        fix=f"Did you mean {near[0]!r}?" if near else "Change `monitor`, or the model's metrics.",
    )
