"""Batches from shards with the layout "block": many rows at a time, from the disk to the batch."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.block_files import BlockFiles
from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.parsing import as_written
from mlflow_tfconv.data.picking import Indices, picked
from mlflow_tfconv.data.python_calls import python_call
from mlflow_tfconv.data.record_stream import Seed, Shuffling, ordered_records, shuffled_records
from mlflow_tfconv.data.row_columns import RowColumns

_POOL_BYTES = 8_000_000
_AT_ONCE = 2
# From this size on it takes less time to read each row from its place than to copy it about.
_LARGE_ROW_BYTES = 32_768
_FEW_COLUMNS = 32

Arrange = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """The examples of a split whose shards have the layout "block", as batches.

    Attributes:
        manifest: The dataset.
        split: Its split.
        names: The features that are wanted.
        batch_size: Examples in a batch.
        drop_remainder: Whether to leave out a last batch that is not full.
        skip: Batches to leave out at the begin of every pass.
        arrange: What makes the elements of the stream of {feature: (batch, ...)}.
    """

    manifest: Manifest
    split: str
    names: Collection[str]
    batch_size: int
    drop_remainder: bool = False
    skip: int = 0
    arrange: Arrange = dict

    def ordered(self, numbers: Indices | None = None) -> tf.data.Dataset:
        """In the order they were written.

        Args:
            numbers: Of the examples that are wanted, rising, from 0; None gives all.
        """
        if self._compressed:
            records = ordered_records(self.manifest, self.split).batch(self._pooled(None))
            return self._batches(self._pools(records, self._layout.rows), numbers)
        files = BlockFiles.of(self.manifest, self.split)
        if self._large:
            every = tf.data.Dataset.range(files.counts.sum())
            wanted = every if numbers is None else tf.data.Dataset.from_tensor_slices(numbers)
            batches = wanted.batch(self.batch_size, drop_remainder=self.drop_remainder)
            return self._from_places(batches, files)
        records = tf.data.Dataset.range(files.records.sum()).batch(self._pooled(None))
        return self._batches(self._pools(records, lambda some: self._rows(files, some)), numbers)

    def shuffled(self, shuffling: Shuffling) -> tf.data.Dataset:
        """In another order with every pass.

        The records (about 256 KB of examples that were written one after the other) of all shards
        are put into a random order; so an example may come at any place. So many of them as make
        64 MB of large examples (from 32 KB on), or 8 MB of small ones, are taken together and their
        examples put into a random order. Every batch is thus drawn from dozens of places all over
        the split, and what was written together comes within the same 64 or 8 MB.

        Compressed shards can't be read in any order: see `shuffled_records`.
        """
        keys = tf.data.Dataset.random(seed=shuffling.seed, rerandomize_each_iteration=True)
        pooled = self._pooled(shuffling)
        if self._compressed:
            records = shuffled_records(self.manifest, self.split, self._of_records(shuffling))
            pools = tf.data.Dataset.zip((records.batch(pooled), keys))
            mixed = self._pools(pools, lambda some, key: _mixed(self._layout.rows(some), key))
            return self._batches(mixed)
        files = BlockFiles.of(self.manifest, self.split)
        numbers = _permutation(int(files.records.sum()), shuffling.seed, pooled)
        pools = tf.data.Dataset.zip((numbers, keys))
        if self._large:
            examples = pools.map(as_written(lambda some, key: _mixed(_examples(files, some), key)))
            return self._from_places(self._rebatched(examples), files)
        mixed = self._pools(pools, lambda some, key: _mixed(self._rows(files, some), key))
        return self._batches(mixed)

    @property
    def _layout(self) -> RowColumns:
        return RowColumns.of(self.manifest.schema)

    @property
    def _compressed(self) -> bool:
        return any(shard.compression for shard in self.manifest.splits[self.split])

    @property
    def _large(self) -> bool:
        few = len(self.names) <= _FEW_COLUMNS  # each is read into an array of its own
        return few and self._layout.row_bytes >= _LARGE_ROW_BYTES

    def _pooled(self, shuffling: Shuffling | None) -> int:
        """How many records to bring together."""
        pool_bytes = _POOL_BYTES
        if shuffling is not None and shuffling.examples:
            pool_bytes = shuffling.examples * self._layout.row_bytes
        elif shuffling is not None and self._large and not self._compressed:
            pool_bytes = shuffling.budget.shuffle_bytes
        return max(pool_bytes // self._layout.record_bytes, 1)

    def _of_records(self, shuffling: Shuffling) -> Shuffling:
        """The same with the number of records for that of examples."""
        asked = shuffling.examples
        records = None if asked is None else max(asked // self._layout.per_record, 1)
        return Shuffling(seed=shuffling.seed, examples=records, budget=shuffling.budget)

    def _from_places(self, numbers: tf.data.Dataset, files: BlockFiles) -> tf.data.Dataset:
        """Batches of examples from those of their numbers."""
        places = self._layout.places(self.names)

        def read(some: Any) -> Any:
            return files.columns(some, list(places.values()))

        def batch(some: tf.Tensor) -> Any:
            found = python_call(read, [some], [tf.uint8] * len(places))
            columns = {
                name: tf.ensure_shape(column, (None, end - begin))
                for column, (name, (begin, end)) in zip(found, places.items(), strict=True)
            }
            return self.arrange(self._layout.features(columns))

        return numbers.skip(self.skip).map(as_written(batch), num_parallel_calls=_AT_ONCE)

    def _rows(self, files: BlockFiles, records: tf.Tensor) -> tf.Tensor:
        # TensorFlow's own readers can only begin at the start of a file.
        rows = python_call(files.rows, [records], tf.uint8)
        return tf.ensure_shape(rows, (None, self._layout.row_bytes))

    def _pools(self, pools: tf.data.Dataset, rows_of: Callable[..., tf.Tensor]) -> tf.data.Dataset:
        def examples(*pool: tf.Tensor) -> Any:
            return self.arrange(self._layout.columns(rows_of(*pool), self.names))

        return pools.map(as_written(examples), num_parallel_calls=_AT_ONCE)

    def _batches(
        self, examples: tf.data.Dataset, numbers: Indices | None = None
    ) -> tf.data.Dataset:
        wanted = examples if numbers is None else picked(examples, numbers)
        return self._rebatched(wanted).skip(self.skip)

    def _rebatched(self, examples: tf.data.Dataset) -> tf.data.Dataset:
        return examples.rebatch(self.batch_size, drop_remainder=self.drop_remainder)


def _examples(files: BlockFiles, records: tf.Tensor) -> tf.Tensor:
    numbers = python_call(files.examples_in, [records], tf.int64)
    return tf.ensure_shape(numbers, (None,))


def _mixed(rows: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """The same, along the first dimension, in a random order."""
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
