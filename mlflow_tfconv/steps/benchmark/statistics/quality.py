"""Judges a model's outputs by the labels, and against the outputs of the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.engine.step import MetricSpec
from mlflow_tfconv.errors import BenchmarkError, ConfigError
from mlflow_tfconv.steps.benchmark.statistics import evidence
from mlflow_tfconv.steps.benchmark.statistics.classes import name_classes, predicted_classes
from mlflow_tfconv.steps.benchmark.statistics.evidence import Evidence
from mlflow_tfconv.steps.benchmark.statistics.metric_rules import (
    EVALUATE_FILE,
    GREATER_IS_BETTER,
    check_metrics,
)

Array = np.ndarray[Any, Any]
_FEWEST_CLASSES_FOR_TOP5 = 6  # of five and fewer, each is among the first five


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMetric:
    """A metric that is ready to be computed.

    Attributes:
        name: As in `quality/<name>`.
        function: `(outputs, labels) -> float`.
        greater_is_better: Its direction.
        evidence: `(outputs, labels) -> Evidence` of a built-in metric, which is a function of means
            and takes one output and one label only.
    """

    name: str
    function: Callable[[Any, Any], float]
    greater_is_better: bool
    evidence: Callable[[Any, Any], Evidence] | None = None


def _from_means(gives: Callable[[Any, Any], Evidence]) -> QualityMetric:
    return QualityMetric(
        name=gives.__name__,
        function=lambda outputs, labels: gives(outputs, labels).whole(),
        greater_is_better=GREATER_IS_BETTER[gives.__name__],
        evidence=gives,
    )


BUILT_IN: dict[str, QualityMetric] = {
    name: _from_means(getattr(evidence, name)) for name in GREATER_IS_BETTER
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
    """What to measure when nothing was asked.

    Of classes the accuracy, and of many classes the accuracy among the first five; of numbers the
    mean error and the root of the mean square.
    """
    if len(outputs) != 1 or not isinstance(labels, np.ndarray):
        return ()
    only = next(iter(outputs.values()))
    if name_classes(only, labels):
        many = only.shape[-1] >= _FEWEST_CLASSES_FOR_TOP5
        return (BUILT_IN["accuracy"], *([BUILT_IN["top5"]] if many else []))
    flat = only.reshape(len(only), -1), labels.reshape(len(labels), -1)
    comparable = labels.dtype.kind in "fiu" and flat[0].shape == flat[1].shape
    return (BUILT_IN["mae"], BUILT_IN["rmse"]) if comparable else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a metric says of a variant.

    Attributes:
        value: The metric.
        evidence: What each example contributes to it; None of a function of the user's own.
    """

    value: float
    evidence: Evidence | None = None


def measured(metric: QualityMetric, outputs: Mapping[str, Array], labels: Any) -> Measured:
    """A metric of all examples.

    Args:
        metric: What to compute.
        outputs: Output name to array; a metric gets the array alone when there is one.
        labels: As the dataset gives them.

    Raises:
        BenchmarkError: The metric does not fit the outputs, fails, or gives no number.
    """
    given = as_given(outputs)
    if metric.evidence is None:
        return Measured(value=_number(metric, _called(metric, given, labels)))
    if not (isinstance(given, np.ndarray) and isinstance(labels, np.ndarray)):
        raise BenchmarkError(
            f"The built-in metric {metric.name!r} needs one output and one label.",
            received=f"outputs: {_names(given)}; labels: {_names(labels)}",
            expected="one of each",
            fix=f"Write a function (outputs, labels) -> float in {EVALUATE_FILE} and name it.",
        )
    if not given.size:
        raise BenchmarkError(
            f"The metric {metric.name!r} has nothing to judge: the output is empty.",
            received=f"an output of shape {given.shape}",
            expected="at least one value an example",
        )
    evidence = metric.evidence(given, labels)
    return Measured(value=evidence.whole(), evidence=evidence)


def as_given(outputs: Mapping[str, Array]) -> Any:
    """What a metric gets: the only output's array, or all outputs."""
    return next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)


def drops(
    metrics: Sequence[QualityMetric], own: Mapping[str, float], reference: Mapping[str, float]
) -> dict[str, float]:
    """`quality/<name>_drop` of each metric that both have: positive is worse."""
    shared = [m for m in metrics if f"quality/{m.name}" in own and f"quality/{m.name}" in reference]
    return {
        f"quality/{m.name}_drop": drop(
            own[f"quality/{m.name}"],
            reference[f"quality/{m.name}"],
            greater_is_better=m.greater_is_better,
        )
        for m in shared
    }


def drop(own: float, reference: float, *, greater_is_better: bool) -> float:
    """How much worse the own value is."""
    difference = reference - own
    return (difference if greater_is_better else -difference) + 0.0  # never -0.0


def agreement(own: Mapping[str, Array], reference: Mapping[str, Array]) -> dict[str, float]:
    """`quality/agreement`: share of examples that get the reference's class.

    Nothing for models whose outputs are not one row of scores an example: numbers that are
    predicted agree by degrees, which the drop of their error says.
    """
    same = agreeing(own, reference)
    return {} if same is None else {"quality/agreement": float(np.mean(same))}


def agreeing(
    own: Mapping[str, Array], reference: Mapping[str, Array], *, one_score: bool = False
) -> Array | None:
    """Whether each example gets the reference's class, (examples,) 0 or 1; None for other outputs.

    Args:
        own: Output name to array.
        reference: The reference's.
        one_score: Whether one score an example is known to be that of a class.
    """
    if len(own) != 1 or len(reference) != 1:
        return None
    mine, theirs = next(iter(own.values())), next(iter(reference.values()))
    fewest = 1 if one_score else 2
    if mine.shape != theirs.shape or mine.ndim != 2 or mine.shape[1] < fewest:
        return None
    return np.asarray(predicted_classes(mine) == predicted_classes(theirs)).astype(np.float64)


def _called(metric: QualityMetric, outputs: Any, labels: Any) -> Any:
    try:
        return metric.function(outputs, labels)
    except Exception as e:
        given = outputs if isinstance(outputs, Mapping) else {"outputs": outputs}
        shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in given.items())
        raise BenchmarkError(
            f"The metric {metric.name!r} failed: {type(e).__name__}: {e}",
            received=f"{shapes}; labels: {_names(labels)}",
            expected="one number for all examples",
            fix=f"Look at the function in {EVALUATE_FILE}.",
        ) from e


def _number(metric: QualityMetric, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as e:
        raise BenchmarkError(
            f"The metric {metric.name!r} gave no number.",
            received=f"{type(value).__name__}: {value!r:.80}",
            expected="one number for all examples",
            fix=f"Look at the function in {EVALUATE_FILE}: it should return a float.",
        ) from e


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
