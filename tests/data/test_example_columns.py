"""Many examples at once are the bytes that each of them is by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.data.columns import columns_like
from mlflow_tfconv.data.example_columns import serialized_examples
from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.schema import FeatureSpec

Values = dict[str, Any]


def both(
    values: Values, given: dict[str, FeatureSpec] | None = None
) -> tuple[list[bytes] | None, list[bytes]]:
    """All at once, and one by one."""
    inference = SchemaInference(given=given)
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    singly = [
        serialized_example(inference.check(row, f"row {number}"), inference.features)
        for number, row in enumerate(rows)
    ]
    columns = columns_like(values, inference.features, given or {})
    return columns and serialized_examples(columns, inference.features), singly


INTS = [0, 1, -1, 127, 128, 2**14, 2**21 - 1, 2**35, 2**62, -(2**63), 2**63 - 1]
TEXTS = [b"", b"a", "é\0".encode(), b"x" * 127, b"y" * 128, b"z" * 20_000, b"\xff", *[b"u"] * 4]
LONG = "a name of more than one hundred and twenty-seven letters " * 3


@pytest.mark.parametrize(
    "values",
    [
        {"x": np.array(INTS)},
        {"x": TEXTS},
        {"x": ["é", b"b", ""]},
        {"x": np.array([1.5, -0.0, np.nan, np.inf, 1e-45])},
        {"x": np.array([True, False, True])},
        {"x": np.arange(3, dtype=np.uint8), LONG: np.arange(300, 303), "é": np.zeros(3)},
        {"b": np.array(INTS), "a": TEXTS, "c": np.arange(11.0), "B": np.arange(11)},
        {"x": np.arange(600, dtype=np.uint8).reshape(2, 300), "y": np.arange(2)},
        {"x": np.zeros((3, 1, 200, 4), ">i2"), "x2": TEXTS[:3], "x/": np.arange(3)},
        {"x": np.zeros((3, 0)), "y": np.zeros((3, 2, 0), "float16")},
        {"x": np.array(["a", "é", "cd"]), "y": np.array([b"a", b"bc", b""])},
        {"x": [np.arange(4), np.arange(4)], "y": np.zeros((2, 2), "complex64")},
        {"x": np.zeros(4, "complex64"), "y": np.arange(8.0).reshape(4, 2, 1)},
        {"x": np.zeros((4, 2), bool), "y": np.arange(4.0, dtype="float16")},
    ],
)
def test_examples_are_the_same_at_once_and_one_by_one(values: Values) -> None:
    at_once, singly = both(values)
    assert at_once == singly


@pytest.mark.parametrize(
    ("column", "spec"),
    [
        (np.arange(200, 203), FeatureSpec("int32")),
        (np.arange(3), FeatureSpec("float32")),
        (np.array([0.1, 2, 3]), FeatureSpec("float64")),
        (np.array([0.1, 2, 1e300]), FeatureSpec("float64", encoding="raw")),
        (np.array([0.5, 2, 3]), FeatureSpec("float16")),
        (np.arange(6.0).reshape(2, 3), FeatureSpec("float32", (3,), encoding="list")),
        (np.arange(6).reshape(2, 3), FeatureSpec("int64", (None,), encoding="list")),
        (np.arange(6).reshape(2, 3), FeatureSpec("int8", (3,), encoding="raw")),
    ],
)
def test_given_types_are_the_same_at_once_and_one_by_one(column: Any, spec: FeatureSpec) -> None:
    at_once, singly = both({"y": np.arange(len(column)), "x": column}, {"x": spec})
    assert at_once == singly


@pytest.mark.parametrize(
    ("column", "spec"),
    [
        (np.array([1, 300]), FeatureSpec("uint8")),
        (np.array([1, 1.5]), FeatureSpec("int64")),
        ([b"a", None], FeatureSpec("string")),
        ([b"a", b"b"], FeatureSpec("uint8", (None, None, 3), encoding="image")),
        (np.zeros((2, 3)), FeatureSpec("float64", (2,))),
        ([np.zeros(3), np.zeros(2)], FeatureSpec("float64", (None,))),
        (np.array([2**63, 1], np.uint64), FeatureSpec("int64")),
        (np.array([1, 2], "M8[s]"), FeatureSpec("int64")),
        (np.zeros((2, 2), "float128"), FeatureSpec("float64", (2,))),
    ],
)
def test_what_needs_a_closer_look_is_not_taken_at_once(column: Any, spec: FeatureSpec) -> None:
    assert columns_like({"x": column}, {"x": spec}, {"x": spec}) is None
    assert columns_like({"x": column, "new": column}, {"x": spec}, {}) is None


def some_values(rng: np.random.Generator, count: int) -> Any:
    kind = rng.integers(5)
    if kind == 0:
        return rng.integers(-(2 ** int(rng.integers(1, 62))), 2**62, count)
    if kind == 1:
        return rng.integers(0, 200, count)
    if kind == 2:
        return [rng.bytes(int(size)) for size in rng.integers(0, 300, count)]
    shape = rng.integers(1, 9, int(rng.integers(1, 4))).tolist() if kind == 3 else ()
    return rng.normal(size=(count, *shape))


def test_random_tables_are_the_same_at_once_and_one_by_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        count = int(rng.integers(1, 40))
        names = ["a", "ab", "a/b", "Z", "ß", "n" * 130]
        at_once, singly = both({name: some_values(rng, count) for name in names})
        assert at_once == singly
