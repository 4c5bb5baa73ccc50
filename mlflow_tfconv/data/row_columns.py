"""What the rows of the layout "block" hold, as tensors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.rows import row_bytes, rows_per_record
from mlflow_tfconv.data.schema import FeatureSpec, Schema


@dataclass(frozen=True, slots=True)
class RowColumns:
    """The rows of a dataset, whose features all have a fixed size.

    Attributes:
        schema: The features.
        row_bytes: Size of a row.
        per_record: Rows in a record; the last one of a shard may have fewer.
    """

    schema: Schema
    row_bytes: int
    per_record: int

    @classmethod
    def of(cls, schema: Schema) -> RowColumns:
        """Those of a schema whose layout is "block"."""
        size_bytes = row_bytes(schema)
        return cls(schema, size_bytes, rows_per_record(size_bytes))

    @property
    def record_bytes(self) -> int:
        """Size of the data of a full record."""
        return self.row_bytes * self.per_record

    def rows(self, records: tf.Tensor) -> tf.Tensor:
        """The rows of some records.

        Args:
            records: (n,) strings.

        Returns:
            (rows, row_bytes) uint8.
        """
        there = tf.strings.length(records) // self.row_bytes
        data = tf.io.decode_raw(records, tf.uint8, fixed_length=self.record_bytes)
        padded = tf.reshape(data, (-1, self.row_bytes))
        places = tf.where(tf.reshape(tf.sequence_mask(there, self.per_record), (-1,)))
        full = tf.size(places) == tf.shape(padded)[0]
        return tf.cond(full, lambda: padded, lambda: tf.gather_nd(padded, places))

    def places(self, names: Collection[str]) -> dict[str, tuple[int, int]]:
        """Where in a row these features begin and end, in bytes; in the order of the row."""
        found, at = {}, 0
        for name in sorted(self.schema.features):
            end = at + _size_bytes(self.schema.features[name])
            if name in names:
                found[name] = (at, end)
            at = end
        return found

    def columns(self, rows: tf.Tensor, names: Collection[str]) -> dict[str, tf.Tensor]:
        """The features of these names, each (batch, ...), from (batch, row_bytes) uint8."""
        places = self.places(names).items()
        return self.features({name: rows[:, begin:end] for name, (begin, end) in places})

    def features(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Features, each (batch, ...), from their columns, (batch, bytes) uint8."""
        specs = self.schema.features
        return {name: _values(columns[name], specs[name]) for name in specs if name in columns}


def _size_bytes(spec: FeatureSpec) -> int:
    return math.prod(size or 0 for size in spec.shape) * np.dtype(spec.dtype).itemsize


def _values(data: tf.Tensor, spec: FeatureSpec) -> tf.Tensor:
    dtype = tf.as_dtype(spec.dtype)
    shape = (tf.shape(data)[0], *(size or 0 for size in spec.shape))
    if dtype.size > 1:
        data = tf.reshape(data, (*shape, dtype.size))
        return tf.ensure_shape(tf.bitcast(data, dtype), (None, *spec.shape))
    values = tf.cast(data, dtype) if dtype == tf.bool else tf.bitcast(data, dtype)
    return tf.ensure_shape(tf.reshape(values, shape), (None, *spec.shape))
