"""Batches from shards with the layout "block": many rows at a time, from the disk to the batch."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.block_files import BlockFiles
from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.parsing import as_written
from mlflow_tfconv.data.record_stream import Seed, Shuffling, ordered_records, shuffled_records
from mlflow_tfconv.data.row_columns import RowColumns

_POOL_BYTES = 12_000_000
_POOLS_AT_ONCE = 2

Arrange = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Blocks:
    """The examples of a split whose shards have the layout "block".

    Attributes:
        manifest: The dataset.
        split: Its split.
        names: The features that are wanted.
        arrange: What makes the elements of the stream of {feature: (batch, ...)}.
    """

    manifest: Manifest
    split: str
    names: Collection[str]
    arrange: Arrange

    def ordered(self) -> tf.data.Dataset:
        """In the order they were written, in batches of about 12 MB."""
        if self._compressed:
            records = ordered_records(self.manifest, self.split).batch(self._pooled(None))
            return self._pools(records, self._layout.rows)
        files = BlockFiles.of(self.manifest, self.split)
        numbers = tf.data.Dataset.range(files.records).batch(self._pooled(None))
        return self._pools(numbers, lambda some: self._read(files, some))

    def shuffled(self, shuffling: Shuffling) -> tf.data.Dataset:
        """In another order with every pass, in batches of about 12 MB.

        The records (about 256 KB of examples that were written one after the other) of all shards
        are put into a random order. So many of them as make 12 MB are read, each from its place,
        and their examples put into a random order. So an example may come at any place, every batch
        is drawn from dozens of places all over the split, and what was written together comes
        within the same 12 MB.

        Compressed shards can't be read in any order: see `shuffled_records`.
        """
        key = tf.data.Dataset.random(seed=shuffling.seed, rerandomize_each_iteration=True)
        pooled = self._pooled(shuffling)
        if self._compressed:
            records = shuffled_records(self.manifest, self.split, self._of_records(shuffling))
            pools = tf.data.Dataset.zip((records.batch(pooled), key))
            return self._pools(pools, lambda some, key: _mixed(self._layout.rows(some), key))
        files = BlockFiles.of(self.manifest, self.split)
        numbers = _permutation(files.records, shuffling.seed, pooled)
        pools = tf.data.Dataset.zip((numbers, key))
        return self._pools(pools, lambda some, key: _mixed(self._read(files, some), key))

    @property
    def _layout(self) -> RowColumns:
        return RowColumns.of(self.manifest.schema)

    @property
    def _compressed(self) -> bool:
        return any(shard.compression for shard in self.manifest.splits[self.split])

    def _pooled(self, shuffling: Shuffling | None) -> int:
        """How many records to bring together."""
        asked = shuffling.examples if shuffling else None
        pool_bytes = asked * self._layout.row_bytes if asked else _POOL_BYTES
        return max(pool_bytes // self._layout.record_bytes, 1)

    def _of_records(self, shuffling: Shuffling) -> Shuffling:
        """The same with the number of records for that of examples."""
        fitting = shuffling.budget.shuffle_bytes // self._layout.record_bytes
        asked = (shuffling.examples or 0) // self._layout.per_record
        return Shuffling(seed=shuffling.seed, examples=max(asked or fitting, 1))

    def _read(self, files: BlockFiles, numbers: tf.Tensor) -> tf.Tensor:
        # TensorFlow's own readers can only begin at the start of a file.
        rows = tf.numpy_function(files.rows, [numbers], tf.uint8, stateful=False)
        return tf.ensure_shape(rows, (None, self._layout.row_bytes))

    def _pools(self, pools: tf.data.Dataset, rows_of: Callable[..., tf.Tensor]) -> tf.data.Dataset:
        def examples(*pool: tf.Tensor) -> Any:
            return self.arrange(self._layout.columns(rows_of(*pool), self.names))

        return pools.map(as_written(examples), num_parallel_calls=_POOLS_AT_ONCE)


def _mixed(rows: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    places = tf.range(tf.shape(rows)[0])
    order = tf.random.experimental.stateless_shuffle(places, seed=tf.stack([key, 0]))
    return tf.gather(rows, order)


def _permutation(count: int, seed: Seed, at_once: int) -> tf.data.Dataset:
    """The numbers below `count` in a random order, another with every pass; without a buffer."""
    keys = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)

    def in_order(key: tf.Tensor) -> tf.data.Dataset:
        pair = tf.stack([key, 1])
        return (
            tf.data.Dataset.range(count)
            .batch(at_once)
            .map(lambda some: tf.random.experimental.index_shuffle(some, pair, count - 1))
        )

    return keys.flat_map(as_written(in_order))
