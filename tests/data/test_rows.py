from __future__ import annotations

import numpy as np
import pytest

from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.rows import check_fits_rows, row_bytes, row_of, rows_of, rows_per_record
from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import DataError


def test_a_row_holds_the_arrays_in_the_order_of_their_names() -> None:
    example = {"b": np.array([1, 2], "uint8"), "a": 7, "c": True}
    inference = SchemaInference()
    row = row_of(inference.check(example, "Example 1"))
    assert row == (7).to_bytes(8, "little") + b"\x01\x02" + b"\x01"
    assert row_bytes(inference.schema()) == len(row)


def test_rows_are_the_same_at_once_and_one_by_one() -> None:
    columns = {"b": np.arange(6.0).reshape(3, 2), "a": np.arange(3), "c": np.array([True] * 3)}
    singly = [row_of({name: column[row] for name, column in columns.items()}) for row in range(3)]
    assert rows_of(columns) == singly


def test_a_record_holds_about_256_kb_of_rows() -> None:
    assert rows_per_record(800) == 320
    assert rows_per_record(10**6) == 1


@pytest.mark.parametrize(
    "spec",
    [
        FeatureSpec("string"),
        FeatureSpec("float32", (None, 2)),
        FeatureSpec("uint8", (4, 4, 3), encoding="image"),
    ],
)
def test_what_has_no_fixed_size_does_not_fit(spec: FeatureSpec) -> None:
    with pytest.raises(DataError, match=r"a\.csv, row 3: the feature 'x' can't be written"):
        check_fits_rows({"x": spec}, "a.csv, row 3")
