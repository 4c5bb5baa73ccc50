"""Serialized examples of a split as a stream: in the order they were written, or shuffled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import tensorflow as tf

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.memory_budget import SHARDS_AT_ONCE, MemoryBudget, stored_bytes
from mlflow_tfconv.data.rows import RECORD_BYTES

_READERS = 4
_BUFFER_BYTES = 262_144
# Larger records are quicker read straight from the file: three calls, and a copy less.
_LARGE_RECORD_BYTES = 65_536

Seed: TypeAlias = int | tf.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffling:
    """How a stream is put into a random order.

    Attributes:
        seed: Of the order; it differs from pass to pass all the same.
        examples: How many to draw each from; None for as many as the budget allows.
        budget: Of the stream's memory.
    """

    seed: Seed
    examples: int | None = None
    budget: MemoryBudget = field(default_factory=MemoryBudget)


def ordered_records(manifest: Manifest, split: str) -> tf.data.Dataset:
    """The records in the order they were written."""
    return _named_files(manifest, split).flat_map(_records_of)


def shuffled_records(manifest: Manifest, split: str, shuffling: Shuffling) -> tf.data.Dataset:
    """The records in another order with every pass.

    The shards come in a random order, several are read in turn, and each record is drawn from a
    buffer: one that is written first may come last, but for the most part it comes together with
    those of the same shards. Serialized ones cost less memory to shuffle than parsed ones.
    """
    shards, budget = len(manifest.splits[split]), shuffling.budget
    stored = _record_bytes(manifest, split)
    records = (
        _named_files(manifest, split)
        .shuffle(shards, seed=shuffling.seed)
        .interleave(
            _records_of,
            cycle_length=min(shards, SHARDS_AT_ONCE),
            block_length=budget.records_of_a_shard(stored),
            num_parallel_calls=min(shards, _READERS),
            deterministic=True,
        )
    )
    fitting = budget.examples_to_draw_from(stored, manifest.counts[split])
    return records.shuffle(shuffling.examples or fitting, seed=shuffling.seed)


def _named_files(manifest: Manifest, split: str) -> tf.data.Dataset:
    """Path and compression of each shard, and the size of the buffer it is read through."""
    paths = [str(path) for path in manifest.shard_paths(split)]
    shards = manifest.splits[split]
    kinds = [shard.compression.upper() for shard in shards]
    large = _record_bytes(manifest, split) >= _LARGE_RECORD_BYTES
    buffers = [0 if large and not shard.compression else _BUFFER_BYTES for shard in shards]
    return tf.data.Dataset.from_tensor_slices((paths, kinds, tf.constant(buffers, tf.int64)))


def _record_bytes(manifest: Manifest, split: str) -> int:
    stored = stored_bytes(manifest, split)
    return max(stored, RECORD_BYTES) if manifest.schema.layout == "block" else stored


def _records_of(path: tf.Tensor, compression: tf.Tensor, buffer: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(path, compression_type=compression, buffer_size=buffer)
