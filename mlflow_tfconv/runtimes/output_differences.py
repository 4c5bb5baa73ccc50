"""The differences between two arrays that should be the same output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import OutputParity
from mlflow_tfconv.runtimes.tolerance import Tolerance

Array = np.ndarray[Any, Any]
_MOST_VALUES_AT_ONCE = 2**20


@dataclass(slots=True)
class OutputDifferences:
    """Gathers the differences of one output, batch by batch.

    Attributes:
        tolerance: What is allowed.
        values: Number of values seen.
        finite: Number of them that are finite in the source.
        exceeded: Number of them beyond tolerance.
        largest_error: Largest absolute difference.
        magnitude: Largest magnitude of the source's finite values.
    """

    tolerance: Tolerance
    values: int = 0
    finite: int = 0
    exceeded: int = 0
    largest_error: float = 0.0
    magnitude: float = 0.0
    _exact: bool = False
    _cosine: float | None = None
    _choices: int = 0
    _same_choices: int = 0

    def add(self, expected: Array, received: Array) -> int:
        """Compares two arrays of one shape; gives the number of values beyond tolerance.

        The first dimension is taken for the examples; what is large is compared piece by piece.
        """
        before = self.exceeded
        self._add_choices(expected, received)
        for left, right in _in_pieces(expected, received):
            self.values += left.size
            if left.dtype.kind in "iubOSU":
                self._add_exact(left, right)
            else:
                self._add_numbers(_doubles(left), _doubles(right))
        return self.exceeded - before

    @property
    def fails(self) -> bool:
        """Whether more differs than is allowed."""
        if self._exact:
            return self.exceeded > (1 - self.tolerance.agreement) * self.values
        return self.exceeded > 0

    def parity(self) -> OutputParity:
        """What it all amounts to."""
        return OutputParity(
            max_abs_error=self.largest_error,
            max_rel_error=self.largest_relative_error,
            cosine=self._cosine,
            argmax_agreement=self._same_choices / self._choices if self._choices else None,
            not_finite=self.values - self.finite,
            exceeded=self.exceeded,
        )

    @property
    def largest_relative_error(self) -> float:
        """The largest error relative to the largest magnitude; 0 when both are zero."""
        if self.magnitude:
            return self.largest_error / self.magnitude
        return float("inf") if self.largest_error else 0.0

    def _add_exact(self, left: Array, right: Array) -> None:
        self._exact = True
        self.finite += left.size
        wrong = left != right
        self.exceeded += int(np.count_nonzero(wrong))
        if left.dtype.kind in "OSU":
            error, magnitude = float(wrong.any()), 1.0
        else:
            error = float(np.abs(left.astype(np.float64) - right.astype(np.float64)).max())
            magnitude = float(np.abs(left.astype(np.float64)).max())
        self.largest_error = max(self.largest_error, error)
        self.magnitude = max(self.magnitude, magnitude)

    def _add_numbers(self, left: Array, right: Array) -> None:
        finite = np.isfinite(left)
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        with np.errstate(invalid="ignore"):
            error = np.where(same, 0.0, np.abs(right - left))
        error[np.isnan(error)] = np.inf  # one of the two is NaN
        sizes = np.where(finite, np.abs(left), 0.0)
        allowed = np.where(finite, self._allowed(sizes), 0.0)
        self.finite += int(np.count_nonzero(finite))
        self.exceeded += int(np.count_nonzero(error > allowed))
        self.largest_error = max(self.largest_error, float(error.max()))
        self.magnitude = max(self.magnitude, float(sizes.max()))
        self._add_cosine(np.where(finite, left, 0.0), np.where(np.isfinite(right), right, 0.0))

    def _allowed(self, sizes: Array) -> Array:
        reach = sizes.max(axis=1, keepdims=True) if self.tolerance.of_largest else sizes
        allowed: Array = self.tolerance.absolute + self.tolerance.relative * reach
        return allowed

    def _add_cosine(self, left: Array, right: Array) -> None:
        """Cosine similarity by example; of nothing but zeros, as far as can be told, it is 1."""
        if left.shape[1] < 2:
            return
        # Scaled first, so that squares neither overflow nor vanish.
        scale = np.maximum(np.abs(left).max(axis=1), np.abs(right).max(axis=1))[:, None]
        small = scale[:, 0] <= self.tolerance.absolute
        left, right = (side / np.where(scale > 0, scale, 1.0) for side in (left, right))
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        cosine = (left * right).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
        least = float(np.where(small, 1.0, cosine).min())
        self._cosine = least if self._cosine is None else min(self._cosine, least)

    def _add_choices(self, expected: Array, received: Array) -> None:
        """Whether the largest of the last axis, the classes, has the same place; ties are equal."""
        if not _has_classes(expected) or not expected.size:
            return
        left, right = (np.nan_to_num(side, nan=-np.inf) for side in (expected, received))
        chosen = np.argmax(right, axis=-1)[..., None]
        same = np.take_along_axis(left, chosen, axis=-1)[..., 0] == left.max(axis=-1)
        self._choices += same.size
        self._same_choices += int(np.count_nonzero(same))


def _has_classes(array: Array) -> bool:
    return array.dtype.kind == "f" and array.ndim >= 2 and array.shape[-1] >= 2


def _in_pieces(expected: Array, received: Array) -> Iterator[tuple[Array, Array]]:
    """Both as (examples, values), some examples at a time."""
    examples = len(expected) if expected.ndim else 1
    if not expected.size:
        return
    left, right = expected.reshape(examples, -1), received.reshape(examples, -1)
    step = max(1, _MOST_VALUES_AT_ONCE // left.shape[1])
    for start in range(0, examples, step):
        yield left[start : start + step], right[start : start + step]


def _doubles(array: Array) -> Array:
    """As float64; of complex numbers both parts, one beside the other."""
    if array.dtype.kind == "c":
        return np.concatenate([array.real, array.imag], axis=1).astype(np.float64)
    return array.astype(np.float64)
