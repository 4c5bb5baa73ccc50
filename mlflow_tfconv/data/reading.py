"""Splits of a dataset as streams of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.block_stream import Blocks
from mlflow_tfconv.data.bucketing import Bucketing
from mlflow_tfconv.data.few_arenas import use_few_arenas
from mlflow_tfconv.data.manifest import Manifest, open_manifest
from mlflow_tfconv.data.memory_budget import MemoryBudget, example_bytes
from mlflow_tfconv.data.parsing import as_written, batch_parser
from mlflow_tfconv.data.record_stream import Seed, Shuffling, ordered_records, shuffled_records
from mlflow_tfconv.data.schema import Schema
from mlflow_tfconv.data.stream_arguments import (
    batching,
    boundaries_of,
    require_bool,
    require_device,
    shuffling,
)
from mlflow_tfconv.data.unchanged import check_unchanged

_BATCHES_ON_DEVICE = 2


@as_written  # type: ignore[untyped-decorator]
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
    bucket_by: str | None = None,
    bucket_boundaries: Sequence[int] = (),
    prefetch_to: str | None = None,
    skip: int = 0,
) -> tf.data.Dataset:
    """A split as a stream of batches, the same for the same seed on every machine.

    ```python
    train = tfconv.read_dataset("manifest.json", "train", batch_size=64, shuffle=True)
    model.fit(train, validation_data=tfconv.read_dataset("manifest.json", "validation", 64))
    ```

    Its buffers are bounded in bytes, so it takes no more memory when the data grow. What changes
    the examples, such as augmentation, is best put behind it, a batch at a time:
    `train.map(function, num_parallel_calls=tf.data.AUTOTUNE)`.

    Args:
        manifest: The dataset: its manifest, the path of it or of its folder.
        split: "train", "validation" or "test".
        batch_size: Examples in a batch.
        shuffle: Whether the order changes with every pass; a number is the examples to draw from,
            otherwise about 64 MB of them. Without it the order is that in which they were written.
        seed: Of the shuffling; within another pipeline also a whole number as a tensor, such as its
            epoch.
        repeat: Whether to begin anew at the end, without an end.
        drop_remainder: Whether to leave out a last batch that is not full.
        ragged: Whether features of varying shape become tf.RaggedTensor; otherwise they are padded
            with zeros to the largest of the batch.
        bucket_by: A feature of varying length, or a text: examples that are about as long come
            together in a batch.
        bucket_boundaries: Lengths that batches are padded to, so that few different shapes come;
            without them to the longest example of the batch.
        prefetch_to: The device where the batches are to be waiting, such as "/GPU:0"; such a stream
            can't be changed further.
        skip: Batches to leave out at the begin of every pass, without parsing them.

    Returns:
        A tf.data.Dataset of (features, label): a tensor (batch, ...) where there is one, a dict
        {name: tensor} where there are several; features alone when the dataset has no label.
        It knows its length.

    Raises:
        DataError: The manifest, the split or a shard is missing, empty or has changed.
        ConfigError: An argument has a value that it can't have, the dataset is not named, or
            examples can't be bucketed so.
    """
    require_bool(repeat=repeat, ragged=ragged)
    found = open_manifest(manifest)
    check_unchanged(found, split)
    use_few_arenas()
    examples = found.counts[split]
    bucketing = _bucketing(found.schema, bucket_by, bucket_boundaries)
    order = shuffling(examples, shuffle, seed)
    batches = batching(examples, batch_size, drop_remainder=drop_remainder, skip=skip)
    batch_size = batches.size
    budget, batch_bytes = MemoryBudget(), batch_size * example_bytes(found, split)
    if found.schema.layout == "block":
        schema = found.schema
        blocks = Blocks(
            manifest=found,
            split=split,
            names={*schema.inputs, *schema.label},
            batch_size=batch_size,
            drop_remainder=drop_remainder,
            skip=skip,
            arrange=lambda batch: _features_and_label(batch, schema),
        )
        dataset = blocks.ordered() if order is None else blocks.shuffled(order)
    else:
        records = _records(found, split, order)
        if bucketing is None:
            records = records.batch(batch_size, drop_remainder=drop_remainder)
        else:
            pools = bucketing.sorted(records, found, split, batch_size, order)
            records = pools.rebatch(batch_size, drop_remainder=drop_remainder)
        parse = _parser(found.schema, ragged, bucketing)
        dataset = _after(records, skip).map(
            parse, num_parallel_calls=budget.batches_at_once(batch_bytes)
        )
    # A shard that ends early at a whole record is told from its count.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches.count))
    dataset = dataset.repeat() if repeat else dataset
    ahead = dataset.prefetch(budget.batches_ahead(batch_bytes)).with_options(budget.options())
    return ahead if prefetch_to is None else _on_device(ahead, prefetch_to)


def _after(batches: tf.data.Dataset, skip: int) -> tf.data.Dataset:
    return batches.skip(skip) if skip else batches


def _on_device(batches: tf.data.Dataset, device: str) -> tf.data.Dataset:
    require_device(device)
    return batches.apply(tf.data.experimental.prefetch_to_device(device, _BATCHES_ON_DEVICE))


def _bucketing(schema: Schema, feature: str | None, boundaries: Sequence[int]) -> Bucketing | None:
    lengths = boundaries_of(boundaries, feature)
    if feature is None:
        return None
    bucketing = Bucketing(feature=feature, boundaries=lengths)
    bucketing.check(schema)
    return bucketing


def _records(manifest: Manifest, split: str, order: Shuffling | None) -> tf.data.Dataset:
    if order is None:
        return ordered_records(manifest, split)
    return shuffled_records(manifest, split, order)


def _parser(
    schema: Schema, ragged: bool, bucketing: Bucketing | None
) -> Callable[[tf.Tensor], Any]:
    parse = batch_parser(schema, {*schema.inputs, *schema.label}, ragged=ragged)

    def parsed(records: tf.Tensor) -> Any:
        batch = parse(records)
        if bucketing is not None:
            batch = bucketing.padded(batch)
        return _features_and_label(batch, schema)

    function: Callable[[tf.Tensor], Any] = as_written(parsed)
    return function


def _features_and_label(batch: dict[str, Any], schema: Schema) -> Any:
    features = _bare({name: batch[name] for name in schema.inputs})
    if not schema.label:
        return features
    return features, _bare({name: batch[name] for name in schema.label})


def _bare(named: dict[str, Any]) -> Any:
    return next(iter(named.values())) if len(named) == 1 else named
