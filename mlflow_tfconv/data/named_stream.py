"""Examples of a split in the order they were written, all or some of them, as named features."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.block_stream import Blocks
from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.memory_budget import MemoryBudget, example_bytes
from mlflow_tfconv.data.parsing import as_written, batch_parser
from mlflow_tfconv.data.record_stream import ordered_records

_RECORDS_AT_ONCE = 256

Indices = np.ndarray[Any, np.dtype[np.int64]]


def named_batches(
    manifest: Manifest,
    split: str,
    names: Collection[str],
    batch_size: int,
    *,
    picked: Indices | None = None,
) -> tf.data.Dataset:
    """Batches of {feature: (batch, ...)}; the last one may be smaller.

    Args:
        manifest: The dataset.
        split: Its split.
        names: The features that are wanted.
        batch_size: Examples in a batch.
        picked: Which examples to give, rising, from 0; None gives all. Those between them are read
            and left out before anything is made of them.
    """
    budget, batch_bytes = MemoryBudget(), batch_size * example_bytes(manifest, split)
    if manifest.schema.layout == "block":
        examples = Blocks(manifest, split, names, lambda batch: batch).ordered()
        batches = (examples if picked is None else _picked(examples, picked)).rebatch(batch_size)
    else:
        records = ordered_records(manifest, split)
        if picked is None:
            records = records.batch(batch_size)
        else:
            records = _picked(records.batch(_RECORDS_AT_ONCE), picked).rebatch(batch_size)
        parse = as_written(batch_parser(manifest.schema, names))
        batches = records.map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(budget.batches_ahead(batch_bytes)).with_options(budget.options())


def _picked(batches: tf.data.Dataset, picked: Indices) -> tf.data.Dataset:
    indices = tf.constant(picked, tf.int64)

    def pick(seen: tf.Tensor, batch: Any) -> tuple[tf.Tensor, Any]:
        end = seen + tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]
        first, last = tf.unstack(tf.searchsorted(indices, tf.stack([seen, end])))
        local = indices[first:last] - seen
        return end, tf.nest.map_structure(lambda values: tf.gather(values, local), batch)

    return batches.scan(tf.constant(0, tf.int64), as_written(pick))
