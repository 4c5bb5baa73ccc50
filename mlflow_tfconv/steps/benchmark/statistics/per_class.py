"""How each class fares, and what it lost against the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.statistics.classes import guesses_and_truth

Array = np.ndarray[Any, Any]
_Z = 1.959964  # of a two-sided 95 % interval


def per_class(
    outputs: Array, reference: Array, labels: Array, names: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Class name (its number without names) to what is known of it, of classes that occur.

    `count` examples (positions, where each has a class); `accuracy`, the share of them that got
    their class, with `low` and `high` (Wilson, 1927); `precision`, the share of those that got
    the class which have it, None when nothing did; `f1`; and `drop` of the accuracy against the
    reference, positive is worse, with `drop_low` and `drop_high` (Agresti and Min, Simple improved
    confidence intervals for comparing matched proportions, 2005).

    Args:
        outputs: The variant's scores.
        reference: The reference's.
        labels: As the dataset gives them.
        names: Of the classes, by their numbers.

    Raises:
        BenchmarkError: These labels are no classes for these outputs.
    """
    guess, truth = (side.ravel() for side in guesses_and_truth(outputs, labels))
    theirs = guesses_and_truth(reference, labels)[0].ravel()
    kinds, codes = np.unique(truth, return_inverse=True)
    count = np.bincount(codes, minlength=len(kinds)).astype(np.float64)
    right = _sums(codes, guess == truth, len(kinds))
    lost = _sums(codes, (guess != truth) & (theirs == truth), len(kinds))
    won = _sums(codes, (guess == truth) & (theirs != truth), len(kinds))
    guessed = _guessed(guess, kinds)
    low, high = _wilson(right, count)
    drop_low, drop_high = _agresti_min(lost, won, count)
    columns = {
        "accuracy": right / count,
        "low": low,
        "high": high,
        "f1": 2 * right / (guessed + count),
        "drop": (lost - won) / count + 0.0,
        "drop_low": drop_low,
        "drop_high": drop_high,
    }
    return {
        _name(kind, names): {
            "count": int(count[row]),
            "precision": float(right[row] / guessed[row]) if guessed[row] else None,
            **{key: float(values[row]) for key, values in columns.items()},
        }
        for row, kind in enumerate(kinds)
    }


def _sums(codes: Array, chosen: Array, count: int) -> Array:
    return np.bincount(codes[chosen], minlength=count).astype(np.float64)


def _guessed(guess: Array, kinds: Array) -> Array:
    """How often each of these classes was predicted."""
    ordered = np.sort(guess)
    first = np.searchsorted(ordered, kinds, side="left")
    return np.asarray(np.searchsorted(ordered, kinds, side="right") - first).astype(np.float64)


def _wilson(right: Array, count: Array) -> tuple[Array, Array]:
    share, square = right / count, _Z**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    reach = np.sqrt(share * (1 - share) / count + square / (4 * count**2))
    reach = reach * _Z / (1 + square / count)
    return np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)


def _agresti_min(lost: Array, won: Array, count: Array) -> tuple[Array, Array]:
    """With half a case added to each of the four ways two models can be right or wrong."""
    total = count + 2
    middle = (lost - won) / total
    reach = _Z * np.sqrt((lost + won + 1) / total - middle**2) / np.sqrt(total)
    return np.maximum(middle - reach, -1.0), np.minimum(middle + reach, 1.0)


def _name(kind: Any, names: Sequence[str] | None) -> str:
    number = int(kind) if float(kind).is_integer() else None
    if number is None:
        return str(kind)
    return names[number] if names is not None and 0 <= number < len(names) else str(number)
