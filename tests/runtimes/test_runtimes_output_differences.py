from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import OutputParity
from mlflow_tfconv.runtimes.output_differences import OutputDifferences
from mlflow_tfconv.runtimes.tolerance import TOLERANCES, Tolerance


def parity(expected: Any, received: Any, tolerance: Tolerance = Tolerance()) -> OutputParity:
    differences = OutputDifferences(tolerance)
    differences.add(np.asarray(expected), np.asarray(received))
    return differences.parity()


def test_the_relative_error_is_safe_where_values_are_zero() -> None:
    assert parity([[0.0, 0.0]], [[0.0, 0.0]]).max_rel_error == 0
    assert parity([[0.0, 4.0]], [[1.0, 4.0]]).max_rel_error == 0.25
    assert parity([[0.0, 0.0]], [[1.0, 0.0]]).max_rel_error == float("inf")


def test_the_cosine_is_that_of_the_worst_example() -> None:
    same = np.float32([[1, 2], [3, 4]])
    assert parity(same, same).cosine == pytest.approx(1)
    assert parity(same, [[1, 2], [-4, 3]]).cosine == pytest.approx(0)
    assert parity(same * 1e30, same * 1e30).cosine == pytest.approx(1)
    assert parity([[0.0, 0.0]], [[1e-6, 0.0]]).cosine == 1
    assert parity([1.0, 2.0], [1.0, 2.0]).cosine is None


def test_the_place_of_the_largest_is_compared_where_there_are_classes() -> None:
    scores = np.float32([[1, 2, 3], [3, 2, 1], [0, 0, 0], [5, 5, 0]])
    other = np.float32([[1, 2, 3], [1, 2, 3], [0, 0, 1], [5, 5.1, 0]])
    assert parity(scores, other).argmax_agreement == 0.75
    assert parity(scores[0], other[0]).argmax_agreement is None
    assert parity(scores.astype(int), other.astype(int)).argmax_agreement is None


def test_values_that_are_not_finite_are_counted_and_have_to_be_the_same() -> None:
    nan, inf = float("nan"), float("inf")
    same = parity([[nan, inf, 1.0]], [[nan, inf, 1.0]])
    assert (same.not_finite, same.exceeded, same.max_abs_error) == (2, 0, 0)
    assert parity([[inf, 1.0]], [[-inf, 1.0]]).exceeded == 1
    assert parity([[1.0, 1.0]], [[nan, 1.0]]).max_abs_error == inf


def test_integers_booleans_and_strings_are_equal_or_not() -> None:
    assert parity([2**62 + 1], [2**62]).exceeded == 1
    assert parity([True, False], [True, True]).exceeded == 1
    assert parity(np.array([b"a"], object), np.array([b"b"], object)).max_abs_error == 1


def test_low_precision_forgives_a_few_other_integers_and_small_values_beside_large() -> None:
    differences = OutputDifferences(TOLERANCES["int8"])
    differences.add(np.arange(20), np.where(np.arange(20) == 3, 9, np.arange(20)))
    assert not differences.fails
    expected, received = np.float32([[100, 0.01]]), np.float32([[100, 0.9]])
    assert parity(expected, received).exceeded == 1
    assert parity(expected, received, TOLERANCES["float16"]).exceeded == 0


def test_complex_and_half_precision_numbers_are_numbers() -> None:
    assert parity([[1 + 2j, 3j]], [[1 + 2j, 4j]]).max_abs_error == 1
    assert parity(np.float16([[1, 2]]), np.float16([[1, 2.5]])).max_abs_error == 0.5


def test_large_arrays_are_compared_in_pieces_with_the_same_result() -> None:
    expected = np.random.default_rng(0).random((40, 60_000), np.float32)
    received = expected.copy()
    received[[3, 39], [7, 59_999]] += [1, 2]
    found = parity(expected, received)
    assert (found.exceeded, found.max_abs_error) == (2, pytest.approx(2, rel=1e-6))


def test_nothing_and_single_numbers_can_be_compared() -> None:
    assert parity(np.zeros((0, 3)), np.zeros((0, 3))) == OutputParity(max_abs_error=0.0)
    assert parity(np.float32(1), np.float32(3)).max_abs_error == 2
