"""Splits of a dataset as streams of batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from mlflow_tfconv.arguments import require_numbers
from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.manifest import Manifest, check_split, open_manifest
from mlflow_tfconv.data.parsing import as_written, batch_parser
from mlflow_tfconv.data.schema import Schema

# A fixed number: AUTOTUNE would make the order of the examples hang on the number of cores.
_SHARDS_AT_ONCE = 8
_RECORDS_OF_A_SHARD_AT_ONCE = 16
_SHUFFLE_BUFFER_BYTES = 64_000_000
_SHUFFLE_BUFFER_LEAST = 1024


def read_dataset(
    manifest: Dataset | Manifest | Path | str,
    split: str,
    batch_size: int,
    *,
    shuffle: bool | int = False,
    seed: int | tf.Tensor = 0,
    repeat: bool = False,
    drop_remainder: bool = False,
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
            otherwise about 64 MB of them.
        seed: Of the shuffling; within another pipeline also an int64 tensor, such as its epoch.
        repeat: Whether to begin anew at the end, without an end.
        drop_remainder: Whether to leave out a last batch that is not full.

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
    check_split(found, split)
    records = _records(found, split, shuffle, seed).batch(batch_size, drop_remainder=drop_remainder)
    parse, schema = batch_parser(found.schema), found.schema
    dataset = records.map(
        as_written(lambda batch: _features_and_label(parse(batch), schema)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    # A shard that ends early at a whole record is told from its count.
    count = found.counts[split]
    steps = count // batch_size if drop_remainder else -(-count // batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    if repeat:
        dataset = dataset.repeat()
    return dataset.prefetch(tf.data.AUTOTUNE)


def ordered_records(manifest: Manifest, split: str) -> tf.data.Dataset:
    """The serialized examples of a split in the order they were written."""
    check_split(manifest, split)
    return tf.data.TFRecordDataset([str(path) for path in manifest.shard_paths(split)])


def _records(
    manifest: Manifest, split: str, shuffle: bool | int, seed: int | tf.Tensor
) -> tf.data.Dataset:
    """Serialized examples: shuffling these costs less memory than shuffling parsed ones."""
    paths = [str(path) for path in manifest.shard_paths(split)]
    files = tf.data.Dataset.from_tensor_slices(paths)
    if shuffle:
        files = files.shuffle(len(paths), seed=seed)
    records = files.interleave(
        tf.data.TFRecordDataset,
        cycle_length=_SHARDS_AT_ONCE,
        block_length=_RECORDS_OF_A_SHARD_AT_ONCE,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return records.shuffle(_buffer(manifest, split, shuffle), seed=seed) if shuffle else records


def _buffer(manifest: Manifest, split: str, shuffle: bool | int) -> int:
    if shuffle is not True:
        return int(shuffle)
    count = manifest.counts[split]
    size_bytes = sum(shard.size_bytes for shard in manifest.splits[split])
    fitting = _SHUFFLE_BUFFER_BYTES * count // max(size_bytes, 1)
    return min(count, max(fitting, _SHUFFLE_BUFFER_LEAST))


def _features_and_label(batch: dict[str, tf.Tensor], schema: Schema) -> Any:
    features = _bare({name: batch[name] for name in schema.inputs})
    if not schema.label:
        return features
    return features, _bare({name: batch[name] for name in schema.label})


def _bare(named: dict[str, tf.Tensor]) -> Any:
    return next(iter(named.values())) if len(named) == 1 else named
