"""Judges a model's outputs by the labels, and against the outputs of the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.engine.step import MetricSpec
from mlflow_tfconv.errors import BenchmarkError, ConfigError
from mlflow_tfconv.steps.benchmark.statistics.metric_rules import (
    EVALUATE_FILE,
    GREATER_IS_BETTER,
    check_metrics,
)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMetric:
    """A metric that is ready to be computed.

    Attributes:
        name: As in `quality/<name>`.
        function: `(outputs, labels) -> float`.
        greater_is_better: Its direction.
        built_in: Whether it takes one output and one label only.
    """

    name: str
    function: Callable[[Any, Any], float]
    greater_is_better: bool
    built_in: bool = False


def accuracy(outputs: Array, labels: Array) -> float:
    """Share of examples whose class is right, 0 to 1."""
    return float(np.mean(predicted_classes(outputs) == _true_classes(outputs, labels)))


def top5(outputs: Array, labels: Array) -> float:
    """Share of examples whose true class is among the five highest outputs, 0 to 1."""
    best = np.argsort(_rows(outputs), axis=1)[:, -5:]
    return float(np.mean(np.any(best == _true_classes(outputs, labels)[:, None], axis=1)))


def f1(outputs: Array, labels: Array) -> float:
    """F1 of each class that occurs, averaged over the classes (macro), 0 to 1."""
    guess, truth = predicted_classes(outputs), _true_classes(outputs, labels)
    return float(np.mean([_f1_of(guess == kind, truth == kind) for kind in np.unique(truth)]))


def mae(outputs: Array, labels: Array) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(_differences(outputs, labels))))


def mse(outputs: Array, labels: Array) -> float:
    """Mean squared error."""
    return float(np.mean(np.square(_differences(outputs, labels))))


def rmse(outputs: Array, labels: Array) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(mse(outputs, labels)))


def r2(outputs: Array, labels: Array) -> float:
    """Coefficient of determination: 1 is perfect, 0 no better than the labels' mean."""
    truth = np.asarray(labels, np.float64)
    return 1 - mse(outputs, labels) / float(np.mean(np.square(truth - truth.mean(axis=0))))


BUILT_IN: dict[str, QualityMetric] = {
    function.__name__: QualityMetric(
        name=function.__name__,
        function=function,
        greater_is_better=GREATER_IS_BETTER[function.__name__],
        built_in=True,
    )
    for function in (accuracy, top5, f1, mae, mse, rmse, r2)
}


def chosen_metrics(
    asked: Sequence[MetricSpec], recipe_root: Path | None
) -> tuple[QualityMetric, ...]:
    """The metrics of the recipe, built-in ones and functions of steps/evaluate.py.

    Raises:
        ConfigError: As `check_metrics`; or steps/evaluate.py has no such function.
    """
    check_metrics(asked)
    return tuple(
        BUILT_IN[spec.name] if spec.function is None else _users(spec, spec.function, recipe_root)
        for spec in asked
    )


def default_metrics(outputs: Mapping[str, Array], labels: Any) -> tuple[QualityMetric, ...]:
    """What to measure when nothing was asked: accuracy of classes, mean error of numbers."""
    if len(outputs) != 1 or not isinstance(labels, np.ndarray):
        return ()
    only = next(iter(outputs.values()))
    if only.ndim == 2 and _are_classes(labels):
        return (BUILT_IN["accuracy"],)
    comparable = labels.dtype.kind in "fiu" and _rows(only).shape == _rows(labels).shape
    return (BUILT_IN["mae"],) if comparable else ()


def measured_quality(
    metrics: Sequence[QualityMetric], outputs: Mapping[str, Array], labels: Any
) -> dict[str, float]:
    """`quality/<name>` of each metric.

    Args:
        metrics: What to compute.
        outputs: Output name to array; a metric gets the array alone when there is one.
        labels: As the dataset gives them.
    """
    given = next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)
    return {f"quality/{metric.name}": _computed(metric, given, labels) for metric in metrics}


def drops(
    metrics: Sequence[QualityMetric], own: Mapping[str, float], reference: Mapping[str, float]
) -> dict[str, float]:
    """`quality/<name>_drop` of each metric that both have: positive is worse."""
    shared = [m for m in metrics if f"quality/{m.name}" in own and f"quality/{m.name}" in reference]
    return {f"quality/{m.name}_drop": _drop(m, own, reference) for m in shared}


def agreement(own: Mapping[str, Array], reference: Mapping[str, Array]) -> dict[str, float]:
    """`quality/agreement`: share of examples that get the reference's class.

    Nothing for models whose outputs are not one row of scores an example: numbers that are
    predicted agree by degrees, which the drop of their error says.
    """
    if len(own) != 1 or len(reference) != 1:
        return {}
    mine, theirs = next(iter(own.values())), next(iter(reference.values()))
    if mine.shape != theirs.shape or mine.ndim != 2 or mine.shape[1] < 2:
        return {}
    same = predicted_classes(mine) == predicted_classes(theirs)
    return {"quality/agreement": float(np.mean(same))}


def predicted_classes(outputs: Array) -> Array:
    """The class of each example, from scores (batch, classes), or from one score (batch, 1).

    One score is compared with 0.5 when all lie in [0, 1] and with 0 (a logit) otherwise.
    """
    rows = _rows(outputs)
    if rows.shape[1] > 1:
        return np.asarray(np.argmax(rows, axis=1))
    is_probability = bool(np.all((rows >= 0) & (rows <= 1)))
    return np.asarray(rows[:, 0] > (0.5 if is_probability else 0.0)).astype(np.int64)


def _true_classes(outputs: Array, labels: Array) -> Array:
    """Class numbers from (batch,) or (batch, 1) numbers, or from one-hot rows."""
    rows = _rows(labels)
    if rows.shape[1] > 1 and rows.shape == _rows(outputs).shape:
        return np.asarray(np.argmax(rows, axis=1))
    if rows.shape[1] == 1:
        return np.asarray(rows[:, 0])
    raise BenchmarkError(
        "These labels are no classes for these outputs.",
        received=f"outputs {_rows(outputs).shape}, labels {np.asarray(labels).shape}",
        expected="labels (batch,) with class numbers, or one-hot rows like the outputs",
        fix="Name another metric in recipe.yaml, or a function of steps/evaluate.py.",
    )


def _are_classes(labels: Array) -> bool:
    return labels.dtype.kind in "iub" and labels.shape[1:] in ((), (1,))


def _f1_of(guess: Array, truth: Array) -> float:
    return 2 * float(np.sum(guess & truth)) / float(np.sum(guess) + np.sum(truth))


def _differences(outputs: Array, labels: Array) -> Array:
    mine, truth = _rows(outputs), _rows(labels)
    if mine.shape != truth.shape:
        raise BenchmarkError(
            "These labels can't be subtracted from these outputs.",
            received=f"outputs {mine.shape}, labels {truth.shape}",
            expected="the same shape",
            fix="Name another metric in recipe.yaml, or a function of steps/evaluate.py.",
        )
    return mine.astype(np.float64) - truth.astype(np.float64)


def _rows(array: Array) -> Array:
    array = np.asarray(array)
    return array.reshape(len(array), -1)


def _drop(metric: QualityMetric, own: Mapping[str, float], reference: Mapping[str, float]) -> float:
    difference = reference[f"quality/{metric.name}"] - own[f"quality/{metric.name}"]
    return (difference if metric.greater_is_better else -difference) + 0.0  # never -0.0


def _computed(metric: QualityMetric, outputs: Any, labels: Any) -> float:
    single = isinstance(outputs, np.ndarray) and isinstance(labels, np.ndarray)
    if metric.built_in and not single:
        raise BenchmarkError(
            f"The built-in metric {metric.name!r} needs one output and one label.",
            received=f"outputs: {_names(outputs)}; labels: {_names(labels)}",
            expected="one of each",
            fix=f"Write a function (outputs, labels) -> float in {EVALUATE_FILE} and name it.",
        )
    return float(metric.function(outputs, labels))


def _names(value: Any) -> str:
    return ", ".join(value) if isinstance(value, dict) else ("one" if value is not None else "none")


def _users(spec: MetricSpec, name: str, recipe_root: Path | None) -> QualityMetric:
    from mlflow_tfconv.data.user_code import user_function

    if recipe_root is None:
        raise ConfigError(
            f"The metric {spec.name!r} is a function of {EVALUATE_FILE}, and there is no recipe.",
            received=f"function: {name}",
            expected=f"a recipe's folder with {EVALUATE_FILE}",
            fix="Set StepContext(recipe_root=...), or name a built-in metric.",
        )
    function = user_function(recipe_root, EVALUATE_FILE, name)
    if function is None:  # user_function has raised already: the function is required
        raise ConfigError(f"{EVALUATE_FILE} has no function {name}.")
    return QualityMetric(
        name=spec.name, function=function, greater_is_better=bool(spec.greater_is_better)
    )
