"""What each example contributes to a metric, so that a metric of redrawn examples is a product.

Most metrics are a function of means over the examples: accuracy of the mean of right answers, RMSE
of the mean of squares. The means of a thousand redrawn samples are one product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.statistics.classes import guesses_and_truth, hits, top_hits

Array = np.ndarray[Any, Any]
_GROUPS, _FEWEST_GROUPS = 2048, 256  # the spread is known to 2 % and to 6 %
_CELLS = 600_000  # a thousand redrawn samples of so many take a tenth of a second
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the examples contribute.

    Attributes:
        rows: (examples, contributions) float64.
        value: From the means of the rows, (..., contributions), to the metric, (...).
    """

    rows: Array
    value: Callable[[Array], Array]

    def whole(self) -> float:
        """The metric of all examples."""
        return float(self.value(self.rows.mean(axis=0)))

    @property
    def outcomes(self) -> bool:
        """Whether each example is simply right (1) or wrong (0)."""
        return self.rows.shape[1] == 1 and bool(np.all((self.rows == 0) | (self.rows == 1)))


def accuracy(outputs: Array, labels: Array) -> Evidence:
    """Share of examples whose class is right, 0 to 1."""
    return Evidence(rows=hits(outputs, labels)[:, None], value=_only)


def top5(outputs: Array, labels: Array) -> Evidence:
    """Share of examples whose true class is among the five highest outputs, 0 to 1."""
    return Evidence(rows=top_hits(outputs, labels)[:, None], value=_only)


def mae(outputs: Array, labels: Array) -> Evidence:
    """Mean absolute error."""
    rows = np.abs(_differences(outputs, labels)).mean(axis=1, keepdims=True)
    return Evidence(rows=rows, value=_only)


def mse(outputs: Array, labels: Array) -> Evidence:
    """Mean squared error."""
    rows = np.square(_differences(outputs, labels)).mean(axis=1, keepdims=True)
    return Evidence(rows=rows, value=_only)


def rmse(outputs: Array, labels: Array) -> Evidence:
    """Root of the mean squared error."""
    return Evidence(rows=mse(outputs, labels).rows, value=lambda means: np.sqrt(means[..., 0]))


def r2(outputs: Array, labels: Array) -> Evidence:
    """Coefficient of determination: 1 is perfect, 0 no better than the labels' mean."""
    squares = mse(outputs, labels).rows
    truth = np.asarray(labels, np.float64).reshape(len(labels), -1)
    centred = truth - truth.mean(axis=0)  # else the difference of large squares loses all digits
    centred[:, np.ptp(truth, axis=0) == 0] = 0  # whatever rounding has left
    rows = np.concatenate([squares, np.square(centred).mean(axis=1, keepdims=True), centred], 1)
    return Evidence(rows=rows, value=_determination)


def f1(outputs: Array, labels: Array) -> Evidence:
    """F1 of each class that occurs, averaged over the classes (macro), 0 to 1.

    With many classes a row is long: many examples are dealt into few groups, whose rows are sums.
    To F1, which is a ratio, sums are as good as means.
    """
    guess, truth = guesses_and_truth(outputs, labels)
    count = max(_FEWEST_GROUPS, min(_GROUPS, _CELLS // (3 * len(np.unique(truth)))))
    groups = np.random.default_rng(_SEED).permutation(len(truth)) % count
    return Evidence(rows=_class_counts(guess, truth, groups), value=_macro_f1)


def _class_counts(guess: Array, truth: Array, units: Array) -> Array:
    """Right guesses, guesses and truths of each class that occurs, (units, 3 * classes).

    Args:
        guess: (examples, positions).
        truth: (examples, positions).
        units: (examples,): which row an example is counted in.
    """
    kinds, true = np.unique(truth.ravel(), return_inverse=True)
    places = np.minimum(np.searchsorted(kinds, guess.ravel()), len(kinds) - 1)
    known = kinds[places] == guess.ravel()
    right = guess.ravel() == truth.ravel()
    unit = np.repeat(units, truth.shape[1])
    sides = [(true, right), (places, known), (true, np.ones(len(true), bool))]
    shape = int(units.max()) + 1, len(kinds)
    counts = [
        np.bincount((unit * shape[1] + codes)[chosen], minlength=shape[0] * shape[1])
        for codes, chosen in sides
    ]
    return np.concatenate([count.reshape(shape) for count in counts], axis=1).astype(np.float64)


def _macro_f1(means: Array) -> Array:
    """2 * right / (guesses + truths) of each class that is there, averaged."""
    right, guesses, truths = np.split(means, 3, axis=-1)
    each = np.where(truths > 0, 2 * right / np.maximum(guesses + truths, 1e-300), 0)
    return np.asarray(each.sum(axis=-1) / np.maximum((truths > 0).sum(axis=-1), 1))


def _only(means: Array) -> Array:
    return np.asarray(means[..., 0])


def _determination(means: Array) -> Array:
    """From the means of squared errors, of squares, and of each column's labels.

    Labels that are all the same leave nothing to explain: 1 for a perfect model, else 0, as
    scikit-learn has it.
    """
    errors = means[..., 0]
    variance = means[..., 1] - np.square(means[..., 2:]).mean(axis=-1)
    flat = variance <= 1e-12 * np.maximum(means[..., 1], np.finfo(np.float64).tiny)
    explained = 1 - errors / np.where(flat, 1.0, variance)
    return np.asarray(np.where(flat, np.where(errors == 0, 1.0, 0.0), explained))


def _differences(outputs: Array, labels: Array) -> Array:
    mine, truth = _rows(outputs), _rows(labels)
    if mine.shape != truth.shape or truth.dtype.kind not in "biuf":
        raise BenchmarkError(
            "These labels can't be subtracted from these outputs.",
            received=f"outputs {mine.shape} {mine.dtype}, labels {truth.shape} {truth.dtype}",
            expected="numbers of the same shape",
            fix="Name another metric in recipe.yaml, or a function of steps/evaluate.py.",
        )
    return mine.astype(np.float64) - truth.astype(np.float64)


def _rows(array: Array) -> Array:
    array = np.asarray(array)
    return array.reshape(len(array), -1)
