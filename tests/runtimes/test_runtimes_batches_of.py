"""Examples in all the forms that callers have them, made into batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.runtimes.batches_of import batches_of

ONE = (TensorSpec(name="x", dtype="float32", shape=(None, 2)),)
TWO = (*ONE, TensorSpec(name="n", dtype="int32", shape=(None,)))
ARRAY = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.mark.parametrize(
    ("samples", "sizes"),
    [
        ([{"x": ARRAY}, {"x": ARRAY[:1]}], [3, 1]),
        (({"x": ARRAY} for _ in range(2)), [3, 3]),
        ({"x": ARRAY.tolist()}, [3]),
        (ARRAY, [3]),
        ([ARRAY, ARRAY], [3, 3]),
        (ARRAY.tolist(), [3]),
        (list(ARRAY), [3]),
    ],
    ids=["batches", "generator", "dict", "array", "arrays", "lists", "examples"],
)
def test_a_caller_may_give_any_of_these(samples: Any, sizes: list[int]) -> None:
    batches = list(batches_of(samples, ONE))
    assert [len(batch["x"]) for batch in batches] == sizes
    assert {batch["x"].dtype.name for batch in batches} == {"float32"}
    np.testing.assert_array_equal(batches[0]["x"], ARRAY)


def test_features_of_a_dataset_are_taken() -> None:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((ARRAY, [0, 1, 2])).batch(2)
    assert [len(batch["x"]) for batch in batches_of(dataset, ONE)] == [2, 1]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("float32", np.array([0.1, 1e30])),
        ("float32", np.array([1, 255], np.uint8)),
        ("int32", np.array([1, 2**31 - 1])),
        ("uint8", np.array([0, 255])),
        ("string", np.array(["a", "b"])),
    ],
)
def test_a_dtype_is_changed_where_no_value_suffers(dtype: str, values: Any) -> None:
    spec = TensorSpec(name="x", dtype=dtype, shape=(None,))
    (batch,) = batches_of(values, [spec])
    assert batch["x"].dtype == ("object" if dtype == "string" else dtype)
    assert np.allclose(batch["x"], values) if dtype != "string" else list(batch["x"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("float32", np.array([1e300])),
        ("float32", np.array([2**24 + 1])),
        ("int32", np.array([2**31])),
        ("uint8", np.array([-1])),
        ("int32", np.array([1.0])),
        ("float32", np.array(["1"])),
        ("string", np.array([1])),
    ],
)
def test_values_that_would_change_are_refused(dtype: str, values: Any) -> None:
    spec = TensorSpec(name="x", dtype=dtype, shape=(None,))
    with pytest.raises(ConfigError, match=f"(?s)don't fit its type.*x: {dtype}"):
        list(batches_of(values, [spec]))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "not a single example in the samples"),
        (3, "The samples are no batches"),
        ("file.npz", "The samples are no batches"),
        ([{"z": ARRAY}], "names in batch 0"),
        ([{"x": ARRAY}, {"x": ARRAY[:, :1]}], "in batch 1 of the samples has the wrong shape"),
        (ARRAY[0], "a single example(?s:.*)batch of one"),
        (ARRAY[:0], "wrong shape"),
        ([{"x": [[1], [1, 2]]}], "is not one array"),
    ],
)
def test_what_does_not_fit_is_told(samples: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        list(batches_of(samples, ONE))
    assert raised.value.expected == "x: float32 (batch, 2)"


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (lambda: ARRAY, "can't be told which inputs"),
        (lambda: {"x": ARRAY, "n": np.arange(2)}, "differ in their number of examples"),
    ],
)
def test_several_inputs_need_names_and_equal_numbers(
    batch: Callable[[], Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        list(batches_of([batch()], TWO))
