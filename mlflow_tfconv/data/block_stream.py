"""Batches from shards with the layout "block": many rows at a time, from the disk to the batch."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.parsing import as_written
from mlflow_tfconv.data.record_stream import Seed, Shuffling, ordered_records, shards_in_turn
from mlflow_tfconv.data.row_columns import RowColumns
from mlflow_tfconv.data.segments import Segments

# Fixed numbers: AUTOTUNE would make the order of the examples hang on the number of cores.
_SEGMENTS_AT_ONCE = 16
_POOL_BYTES = 8_000_000
_POOLS_AT_ONCE = 2
_READERS = 2

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
        """In the order they were written, in batches of about 8 MB."""
        layout = RowColumns.of(self.manifest.schema)
        records = ordered_records(self.manifest, self.split).batch(_pooled(layout))

        def columns(some: tf.Tensor) -> Any:
            rows, places = layout.rows(some)
            full = tf.size(places) == tf.shape(rows)[0]
            rows = tf.cond(full, lambda: rows, lambda: tf.gather(rows, places))
            return self.arrange(layout.columns(rows, self.names))

        return records.map(as_written(columns), num_parallel_calls=_POOLS_AT_ONCE)

    def shuffled(self, shuffling: Shuffling) -> tf.data.Dataset:
        """In another order with every pass, in batches of about 8 MB.

        Where the shards are not compressed, a random order of the whole split's segments (about
        2 MB of neighbours) decides what is read next. Sixteen of them are read in turn, their
        records drawn from a buffer, and the rows of each 8 MB of records are put into a random
        order. So an example may come at any place, and those that are neighbours on the disk are
        spread over about as many examples as the buffer and the pool hold.
        """
        layout = RowColumns.of(self.manifest.schema)
        pooled = _pooled(layout)
        drawn = (shuffling.examples or 0) * layout.row_bytes or shuffling.budget.shuffle_bytes
        buffered = max(drawn // layout.record_bytes - pooled, 1)
        records = self._in_random_order(shuffling.seed).shuffle(buffered, seed=shuffling.seed)
        numbers = tf.data.Dataset.random(seed=shuffling.seed, rerandomize_each_iteration=True)

        def mixed(some: tf.Tensor, number: tf.Tensor) -> Any:
            rows, places = layout.rows(some)
            order = tf.random.experimental.stateless_shuffle(places, seed=tf.stack([number, 0]))
            return self.arrange(layout.columns(tf.gather(rows, order), self.names))

        pools = tf.data.Dataset.zip((records.batch(pooled), numbers))
        return pools.map(as_written(mixed), num_parallel_calls=_POOLS_AT_ONCE)

    def _in_random_order(self, seed: Seed) -> tf.data.Dataset:
        if any(shard.compression for shard in self.manifest.splits[self.split]):
            return shards_in_turn(self.manifest, self.split, seed, each=1)
        segments = Segments.of(self.manifest, self.split)
        at_once = min(segments.count, _SEGMENTS_AT_ONCE)
        return _permutation(segments.count, seed).interleave(
            as_written(segments.read),
            cycle_length=at_once,
            block_length=1,
            num_parallel_calls=min(at_once, _READERS),
            deterministic=True,
        )


def _permutation(count: int, seed: Seed) -> tf.data.Dataset:
    """The numbers below `count` in a random order, another with every pass; without a buffer."""
    number = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)

    def in_order(number: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([number, 1])
        return tf.data.Dataset.range(count).map(
            lambda at: tf.random.experimental.index_shuffle(at, key, count - 1)
        )

    return number.flat_map(as_written(in_order))


def _pooled(layout: RowColumns) -> int:
    return max(_POOL_BYTES // layout.record_bytes, 1)
