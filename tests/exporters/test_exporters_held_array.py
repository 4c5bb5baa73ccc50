from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.exporters.held_array import HeldArray, held_in_memory

VALUES = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
SCALE = np.arange(5, dtype=np.float32)


def held(reads: list[int], values: np.ndarray[Any, Any] = VALUES) -> HeldArray:
    def read() -> np.ndarray[Any, Any]:
        reads.append(1)
        return values

    return HeldArray(read, VALUES.shape, VALUES.dtype, "values")


LAZY: list[Callable[[Any], Any]] = [
    lambda x: np.transpose(x, (2, 0, 1)),
    lambda x: x.transpose(2, 1, 0),
    lambda x: x.T,
    lambda x: np.reshape(x, (5, -1)),
    lambda x: x.reshape(4, 15),
    lambda x: x.flatten(),
    lambda x: np.squeeze(np.expand_dims(x, 1)),
    lambda x: np.swapaxes(x, 0, 1),
    lambda x: x * SCALE,
    lambda x: np.multiply(SCALE, x),
    lambda x: 2 * x + 1,
    lambda x: x.astype(np.float64),
    lambda x: x + x,
]
EAGER: list[Callable[[Any], Any]] = [
    lambda x: np.concatenate([x, x], 1),
    lambda x: np.split(x, 2, 1)[1],
    lambda x: x[1],
    lambda x: x.max(),
    lambda x: np.any(np.isnan(x)),
    lambda x: x.tolist(),
    lambda x: list(x),
    lambda x: np.add.reduce(x, axis=1),
]


@pytest.mark.parametrize("number", range(len(LAZY)))
def test_what_moves_or_scales_values_reads_none(number: int) -> None:
    reads: list[int] = []
    result, expected = LAZY[number](held(reads)), LAZY[number](VALUES)
    assert isinstance(result, HeldArray)
    assert (reads, result.shape, result.dtype) == ([], expected.shape, expected.dtype)
    np.testing.assert_array_equal(result.values(), expected)


@pytest.mark.parametrize("number", range(len(EAGER)))
def test_everything_else_gets_the_values(number: int) -> None:
    np.testing.assert_array_equal(EAGER[number](held([])), EAGER[number](VALUES))


def test_two_are_equal_when_they_come_about_in_the_same_way() -> None:
    reads: list[int] = []
    one, two = held(reads), held(reads)
    assert np.array_equal(one.T * SCALE.reshape(5, 1, 1), two.T * SCALE.reshape(5, 1, 1))
    assert not np.array_equal(one.T, one)
    assert not np.array_equal(one * SCALE, one * (SCALE + 1))
    assert reads == []


def test_arrays_in_memory_are_equal_when_their_values_are() -> None:
    assert np.array_equal(held_in_memory(VALUES), held_in_memory(VALUES.copy()))
    assert not np.array_equal(held_in_memory(VALUES), held_in_memory(VALUES + 1))


def test_other_values_than_were_promised_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \[3, 4\].*\[3, 4, 5\] and float32"):
        held([], np.zeros((3, 4))).values()
