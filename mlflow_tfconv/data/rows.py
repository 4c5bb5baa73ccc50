"""The layout "block": examples of fixed size as rows of bytes, many of them in a record.

A row holds the arrays of an example one after the other in the order of their names, each as its
little-endian elements in C order. A record is as many rows as make about 256 KB, the last ones of a
shard fewer; how many there are, its length tells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlflow_tfconv.data.columns import Columns, as_list, bytes_of_each
from mlflow_tfconv.data.inference import Arrays
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.errors import DataError

RECORD_BYTES = 256_000


def row_bytes(schema: Schema) -> int:
    """The size of every row."""
    return sum(
        math.prod(size or 0 for size in spec.shape) * np.dtype(spec.dtype).itemsize
        for spec in schema.features.values()
    )


def row_of(arrays: Arrays) -> bytes:
    """The row of an example, whose arrays are numeric and little-endian."""
    return b"".join([arrays[name].tobytes() for name in sorted(arrays)])


def rows_of(columns: Columns) -> list[bytes]:
    """What `row_of` gives for each of the examples."""
    return as_list(np.hstack([bytes_of_each(columns[name]) for name in sorted(columns)]))


def rows_per_record(size_bytes: int) -> int:
    """How many rows of a size go into one record."""
    return max(1, RECORD_BYTES // max(size_bytes, 1))


def check_fits_rows(features: Mapping[str, FeatureSpec], where: str) -> None:
    """Refuses features that have no fixed size.

    Raises:
        DataError: One is text, stored encoded, or varies in shape; or all are empty.
    """
    for name, spec in features.items():
        if spec.dtype == "string" or spec.varies or spec.encoding in ("tensor", "image"):
            what = "encoded" if spec.encoding in ("tensor", "image") else spec.dtype
            raise DataError(
                f"{where}: the feature {name!r} can't be written with `layout: block`.",
                received=f"{what} {spec.shape}".replace("None", "any"),
                expected="numbers of one shape, or a text label whose class names are declared",
                fix="Leave `ingest.layout` out, or leave the feature out.",
            )
    if features and not row_bytes(Schema(features=features)):
        raise DataError(
            f"{where}: there is nothing to write with `layout: block`.",
            received="features of size 0 only",
            fix="Leave `ingest.layout` out.",
        )
