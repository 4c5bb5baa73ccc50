"""Which class each example got, and which it has.

An example has one class, or one at each of its positions: (examples, positions), where outputs are
(examples, ..., classes) and labels (examples, ...), as of tokens or pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_tfconv.errors import BenchmarkError

Array = np.ndarray[Any, Any]


def predicted_classes(outputs: Array) -> Array:
    """The class of each example, (examples,), from scores (examples, classes), or from one score.

    One score is compared with 0.5 when all lie in [0, 1] and with 0 (a logit) otherwise.
    """
    rows = _rows(outputs)
    return np.asarray(np.argmax(rows, axis=1)) if rows.shape[1] > 1 else _yes(rows[:, 0])


def guesses_and_truth(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """The predicted and the true classes, both (examples, positions).

    Args:
        outputs: (examples, ..., classes) scores, or one score a position.
        labels: (examples, ...) class numbers, or one-hot rows like the outputs.

    Raises:
        BenchmarkError: These labels are no classes for these outputs.
    """
    scores, truth = scores_and_truth(outputs, labels)
    guess = _yes(scores[..., 0]) if scores.shape[-1] == 1 else np.argmax(scores, axis=-1)
    return np.asarray(guess), truth


def scores_and_truth(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """The scores as (examples, positions, classes), the true classes as (examples, positions).

    Raises:
        BenchmarkError: These labels are no classes for these outputs.
    """
    outputs, labels = np.asarray(outputs), np.asarray(labels)
    if labels.dtype.kind not in "biuf":
        raise _no_classes(f"labels of the type {labels.dtype}")
    if outputs.ndim >= 3 and _at_each_position(outputs, labels):
        scores = outputs.reshape(len(outputs), -1, outputs.shape[-1])
        positions = labels.reshape(len(labels), -1)
        return scores, _numbers(positions.reshape(*scores.shape[:2], -1), scores, labels)
    scores = _rows(outputs)[:, None, :]
    return scores, _numbers(_rows(labels)[:, None, :], scores, labels)


def hits(outputs: Array, labels: Array) -> Array:
    """The share of each example's positions whose class is right, (examples,): 0 or 1 for one."""
    guess, truth = guesses_and_truth(outputs, labels)
    return np.asarray(np.mean(guess == truth, axis=1))


def top_hits(outputs: Array, labels: Array, best: int = 5) -> Array:
    """The share of each example's positions whose class is among the best scores, (examples,).

    Of equal scores those of the lower class numbers count as better.
    """
    scores, truth = scores_and_truth(outputs, labels)
    known = (truth >= 0) & (truth < scores.shape[-1])
    places = np.where(known, truth, 0).astype(np.int64)[..., None]
    own = np.take_along_axis(scores, places, axis=-1)
    before = np.arange(scores.shape[-1]) < places
    better = np.sum((scores > own) | ((scores == own) & before), axis=-1)
    return np.asarray(np.mean(known & (better < best), axis=1))


def name_classes(outputs: Array, labels: Array) -> bool:
    """Whether integer labels are the classes of these scores, rather than numbers to predict."""
    if labels.dtype.kind not in "iub" or outputs.ndim < 2:
        return False
    shape = outputs.shape[:-1]
    if labels.shape not in (shape, (*shape, 1)):
        return False
    return outputs.shape[-1] > 1 or bool(np.all((labels == 0) | (labels == 1)))


def _at_each_position(outputs: Array, labels: Array) -> bool:
    shape = outputs.shape
    return labels.shape in (shape[:-1], (*shape[:-1], 1)) or labels.shape == shape


def _numbers(labels: Array, scores: Array, given: Array) -> Array:
    """Class numbers (examples, positions) of labels (examples, positions, 1 or classes)."""
    if labels.shape[-1] == 1:
        return labels[..., 0]
    if labels.shape != scores.shape:
        raise _no_classes(f"outputs {_shape(scores)}, labels {given.shape}")
    if labels.dtype.kind != "f" and np.any(np.count_nonzero(labels, axis=-1) != 1):
        raise _no_classes("labels that mark several classes at once, or none")
    return np.asarray(np.argmax(labels, axis=-1))


def _yes(scores: Array) -> Array:
    is_probability = bool(np.all((scores >= 0) & (scores <= 1)))
    return np.asarray(scores > (0.5 if is_probability else 0.0)).astype(np.int64)


def _no_classes(received: str) -> BenchmarkError:
    return BenchmarkError(
        "These labels are no classes for these outputs.",
        received=received,
        expected="labels (batch,) with class numbers, or one-hot rows like the outputs",
        fix="Name another metric in recipe.yaml, or a function of steps/evaluate.py.",
    )


def _shape(scores: Array) -> tuple[int, ...]:
    """As the model gives them, for a message."""
    return (scores.shape[0], scores.shape[2]) if scores.shape[1] == 1 else scores.shape


def _rows(array: Array) -> Array:
    array = np.asarray(array)
    return array.reshape(len(array), -1)
