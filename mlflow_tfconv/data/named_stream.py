"""Examples of a split in the order they were written, all or some of them, as named features."""

from __future__ import annotations

from collections.abc import Collection

import tensorflow as tf

from mlflow_tfconv.data.block_stream import Blocks
from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.memory_budget import MemoryBudget, example_bytes
from mlflow_tfconv.data.parsing import as_written, batch_parser
from mlflow_tfconv.data.picking import Indices, picked
from mlflow_tfconv.data.record_stream import ordered_records

_RECORDS_AT_ONCE = 256


def named_batches(
    manifest: Manifest,
    split: str,
    names: Collection[str],
    batch_size: int,
    *,
    numbers: Indices | None = None,
) -> tf.data.Dataset:
    """Batches of {feature: (batch, ...)}; the last one may be smaller.

    Args:
        manifest: The dataset.
        split: Its split.
        names: The features that are wanted.
        batch_size: Examples in a batch.
        numbers: Which examples to give, rising, from 0; None gives all. Those between them are left
            out before anything is made of them.
    """
    budget, batch_bytes = MemoryBudget(), batch_size * example_bytes(manifest, split)
    if manifest.schema.layout == "block":
        blocks = Blocks(manifest=manifest, split=split, names=names, batch_size=batch_size)
        batches = blocks.ordered(numbers)
    else:
        records = ordered_records(manifest, split)
        if numbers is None:
            records = records.batch(batch_size)
        else:
            records = picked(records.batch(_RECORDS_AT_ONCE), numbers).rebatch(batch_size)
        parse = as_written(batch_parser(manifest.schema, names))
        batches = records.map(parse, num_parallel_calls=budget.batches_at_once(batch_bytes))
    return batches.prefetch(budget.batches_ahead(batch_bytes)).with_options(budget.options())
