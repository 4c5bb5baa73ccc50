"""Pieces of shards with the layout "block" that can be read in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.manifest import Manifest, Shard
from mlflow_tfconv.data.row_columns import RowColumns
from mlflow_tfconv.errors import DataError

_HEADER_BYTES = 12  # in front of a record: its length and the checksum of that
_FOOTER_BYTES = 4  # behind it: the checksum of its data
_SEGMENT_BYTES = 2_000_000

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Segments:
    """Neighbouring records of a shard, about 2 MB, that are read in one go; of all shards in a row.

    The last record of a shard is a segment of its own: it may be shorter. The records are found by
    their places, so a shard has to be as its manifest says, and checksums of records are not looked
    at: that its content is unchanged is known from its digest.

    Attributes:
        paths: The shards.
        sizes: Of each, in bytes.
        records: How many each has.
        last: Bytes of the last record of each.
        ends: How many segments there are up to the end of each.
        frame_bytes: Of a full record with its frame.
        per_segment: Full records in a segment.
    """

    paths: tuple[str, ...]
    sizes: Numbers
    records: Numbers
    last: Numbers
    ends: Numbers
    frame_bytes: int
    per_segment: int

    @classmethod
    def of(cls, manifest: Manifest, split: str) -> Segments:
        """Those of a split whose shards are not compressed.

        Raises:
            DataError: A shard can't hold as many examples as the manifest says.
        """
        layout = RowColumns.of(manifest.schema)
        shards = [shard for shard in manifest.splits[split] if shard.count]
        counts = np.array([shard.count for shard in shards], dtype=np.int64)
        sizes = np.array([shard.size_bytes for shard in shards], dtype=np.int64)
        records = -(-counts // layout.per_record)
        last = (counts - (records - 1) * layout.per_record) * layout.row_bytes
        frame_bytes = layout.record_bytes + _HEADER_BYTES + _FOOTER_BYTES
        expected = (records - 1) * frame_bytes + last + _HEADER_BYTES + _FOOTER_BYTES
        for shard, size in zip(shards, expected, strict=True):
            _check_size(shard, int(size), layout)
        per_segment = max(_SEGMENT_BYTES // frame_bytes, 1)
        ends = np.cumsum(-(-(records - 1) // per_segment) + 1)
        paths = tuple(str(manifest.folder / shard.path) for shard in shards)
        return cls(paths, sizes, records, last, ends, frame_bytes, per_segment)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.ends[-1])

    def read(self, number: tf.Tensor) -> tf.data.Dataset:
        """The records of a segment as strings; behind the rows may stand bytes of frames.

        Args:
            number: int64, from 0.
        """
        shard = tf.searchsorted(self.ends, [number], side="right")[0]
        begins = np.concatenate([[0], self.ends[:-1]])
        full = tf.constant(self.records)[shard] - 1
        first = tf.minimum((number - tf.constant(begins)[shard]) * self.per_segment, full)
        count = tf.minimum(full - first, self.per_segment)
        # With the end of one frame and the head of the next behind its data a record takes as many
        # bytes as with its own frame around it; so what is behind can be left over.
        size = tf.where(
            count > 0, tf.constant(self.frame_bytes, tf.int64), tf.constant(self.last)[shard]
        )
        header = first * self.frame_bytes + _HEADER_BYTES
        footer = tf.constant(self.sizes)[shard] - header - size * tf.maximum(count, 1)
        path = tf.constant(self.paths)[shard]
        return tf.data.FixedLengthRecordDataset(path, size, header, footer)


def _check_size(shard: Shard, expected: int, layout: RowColumns) -> None:
    if shard.size_bytes != expected:
        raise DataError(
            f"The shard {shard.path} does not have the layout `block` that its manifest says.",
            received=f"{shard.size_bytes} bytes",
            expected=f"{expected} bytes for {shard.count} examples of {layout.row_bytes} bytes",
            fix="Run the step `ingest` again.",
        )
