"""Splits of a dataset as streams of batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from mlflow_tfconv.arguments import require_numbers
from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.block_stream import Blocks
from mlflow_tfconv.data.manifest import Manifest, open_manifest
from mlflow_tfconv.data.memory_budget import example_bytes
from mlflow_tfconv.data.parsing import as_written, batch_parser
from mlflow_tfconv.data.record_stream import Seed, Shuffling, ordered_records, shuffled_records
from mlflow_tfconv.data.schema import Schema
from mlflow_tfconv.data.unchanged import check_unchanged
from mlflow_tfconv.errors import ConfigError


def read_dataset(
    manifest: Dataset | Manifest | Path | str,
    split: str,
    batch_size: int,
    *,
    shuffle: bool | int = False,
    seed: Seed = 0,
    repeat: bool = False,
    drop_remainder: bool = False,
    ragged: bool = False,
    skip: int = 0,
) -> tf.data.Dataset:
    """A split as a stream of batches, the same for the same seed on every machine.

    ```python
    train = tfconv.read_dataset("manifest.json", "train", batch_size=64, shuffle=True)
    model.fit(train, validation_data=tfconv.read_dataset("manifest.json", "validation", 64))
    ```

    Args:
        manifest: The dataset: its manifest, the path of it or of its folder.
        split: "train", "validation" or "test".
        batch_size: Examples in a batch.
        shuffle: Whether the order changes with every pass; a number is the examples to draw from,
            otherwise about 64 MB of them. Without it the order is that in which they were written.
        seed: Of the shuffling; within another pipeline also an int64 tensor, such as its epoch.
        repeat: Whether to begin anew at the end, without an end.
        drop_remainder: Whether to leave out a last batch that is not full.
        ragged: Whether features of varying shape become tf.RaggedTensor; otherwise they are padded
            with zeros to the largest of the batch.
        skip: Batches to leave out at the begin of every pass, without parsing them.

    Returns:
        A tf.data.Dataset of (features, label): a tensor (batch, ...) where there is one, a dict
        {name: tensor} where there are several; features alone when the dataset has no label.
        It knows its length.

    Raises:
        DataError: The manifest, the split or a shard is missing, empty or has changed.
        ConfigError: There is no such batch size, or the dataset is not named.
    """
    require_numbers(1, whole=True, batch_size=batch_size)
    found = open_manifest(manifest)
    check_unchanged(found, split)
    steps = _steps(found, split, batch_size, drop_remainder)
    shuffling = Shuffling(seed=seed, examples=None if shuffle is True else shuffle)
    order = shuffling if shuffle else None
    if found.schema.layout == "block":
        batches = _blocks(found, split, order).rebatch(batch_size, drop_remainder=drop_remainder)
        dataset = batches.skip(skip) if skip else batches
    else:
        records = _records(found, split, order).batch(batch_size, drop_remainder=drop_remainder)
        left = records.skip(skip) if skip else records
        dataset = left.map(_parser(found.schema, ragged), num_parallel_calls=tf.data.AUTOTUNE)
    # A shard that ends early at a whole record is told from its count.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps - skip))
    if repeat:
        dataset = dataset.repeat()
    budget, batch_bytes = shuffling.budget, batch_size * example_bytes(found, split)
    return dataset.prefetch(budget.batches_ahead(batch_bytes)).with_options(budget.options())


def _steps(manifest: Manifest, split: str, batch_size: int, drop_remainder: bool) -> int:
    count = manifest.counts[split]
    if not drop_remainder:
        return -(-count // batch_size)
    if count < batch_size:
        raise ConfigError(
            f"Not one batch of the split {split!r} is full, and `drop_remainder` leaves out others.",
            received=f"a batch size of {batch_size}, {count} examples",
            expected=f"a batch size of at most {count}",
            fix="Make the batch smaller, or keep the remainder.",
        )
    return count // batch_size


def _records(manifest: Manifest, split: str, order: Shuffling | None) -> tf.data.Dataset:
    if order is None:
        return ordered_records(manifest, split)
    return shuffled_records(manifest, split, order)


def _blocks(manifest: Manifest, split: str, order: Shuffling | None) -> tf.data.Dataset:
    schema = manifest.schema
    names = {*schema.inputs, *schema.label}
    blocks = Blocks(manifest, split, names, lambda batch: _features_and_label(batch, schema))
    return blocks.ordered() if order is None else blocks.shuffled(order)


def _parser(schema: Schema, ragged: bool) -> Callable[[tf.Tensor], Any]:
    parse = batch_parser(schema, {*schema.inputs, *schema.label}, ragged=ragged)
    function: Callable[[tf.Tensor], Any] = as_written(
        lambda records: _features_and_label(parse(records), schema)
    )
    return function


def _features_and_label(batch: dict[str, Any], schema: Schema) -> Any:
    features = _bare({name: batch[name] for name in schema.inputs})
    if not schema.label:
        return features
    return features, _bare({name: batch[name] for name in schema.label})


def _bare(named: dict[str, Any]) -> Any:
    return next(iter(named.values())) if len(named) == 1 else named
