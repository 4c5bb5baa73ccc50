"""The serialized examples of a TFRecord file, every checksum on the way checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from mlflow_tfconv.data.framing import damaged_record, record_offsets
from mlflow_tfconv.data.manifest import Manifest, check_split
from mlflow_tfconv.errors import DataError


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file, one after the other.

    Raises:
        DataError: The file is damaged; names file, record (from 0) and byte offset.
    """
    offsets = record_offsets(path)
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    for number, offset in enumerate(offsets):
        try:
            yield next(records)
        except tf.errors.DataLossError as e:
            raise damaged_record(path, number, offset, "the checksum of its data is wrong") from e


def find_damage(manifest: Manifest, split: str) -> DataError | None:
    """What is wrong with the files of a split, or None.

    For the moment after TensorFlow has stopped with a DataLossError, which names no file.
    """
    try:
        check_split(manifest, split)
        for path in manifest.shard_paths(split):
            for _ in read_records(path):
                pass
    except DataError as e:
        return e
    return None
