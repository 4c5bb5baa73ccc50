"""Which metrics can be asked for: known before anything runs, and without numpy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mlflow_tfconv.engine.step import MetricSpec
from mlflow_tfconv.errors import ConfigError

EVALUATE_FILE = "steps/evaluate.py"
#: The built-in metrics with their directions.
GREATER_IS_BETTER = {
    **dict.fromkeys(("accuracy", "top5", "f1"), True),
    **dict.fromkeys(("mae", "mse", "rmse"), False),
    "r2": True,
}


def check_metrics(metrics: Iterable[MetricSpec]) -> None:
    """Makes sure that each metric is built in, or a function whose direction is given.

    Raises:
        ConfigError: One is neither.
    """
    for metric in metrics:
        if metric.function is None:
            _check_built_in(metric.name)
        elif metric.greater_is_better is None:
            raise ConfigError(
                f"The metric {metric.name!r} does not say whether more of it is better.",
                received=f"function: {metric.function}, without greater_is_better",
                expected="greater_is_better: true, or false",
                fix=f"metrics: [{{name: {metric.name}, function: {metric.function}, "
                "greater_is_better: true}], or false for an error or a loss.",
            )


def _check_built_in(name: str) -> None:
    if name in GREATER_IS_BETTER:
        return
    near = difflib.get_close_matches(name, GREATER_IS_BETTER, n=1)
    raise ConfigError(
        f"There is no built-in metric {name!r}.",
        received=name,
        expected=", ".join(GREATER_IS_BETTER),
        fix=f"Did you mean {near[0]!r}?"
        if near
        else f"Write a function in {EVALUATE_FILE} and name it: metrics: [{{name, function}}].",
    )
