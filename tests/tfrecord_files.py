"""TFRecord files as others write them: with TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


def feature(values: list[Any]) -> Any:
    """A feature; an empty list gives one that holds nothing."""
    if not values:
        return tf.train.Feature()
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(row: Mapping[str, list[Any]]) -> bytes:
    """A serialized tf.train.Example."""
    features = {name: feature(values) for name, values in row.items()}
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(message.SerializeToString())


def sequence_example(
    context: Mapping[str, list[Any]], lists: Mapping[str, list[list[Any]]]
) -> bytes:
    """A serialized tf.train.SequenceExample."""
    message = tf.train.SequenceExample(
        context=tf.train.Features(feature={name: feature(v) for name, v in context.items()}),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                name: tf.train.FeatureList(feature=map(feature, steps))
                for name, steps in lists.items()
            }
        ),
    )
    return bytes(message.SerializeToString())


def write_records(path: Path, records: Iterable[bytes], compression: str = "") -> Path:
    """Writes a file, "GZIP", "ZLIB" or not packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def jpeg(height: int, width: int, channels: int = 3, *, value: int = 7) -> bytes:
    """The bytes of an image of one colour."""
    pixels = np.full((height, width, channels), value, np.uint8)
    return bytes(tf.io.encode_jpeg(pixels, quality=100).numpy())


def png(height: int, width: int, channels: int = 3, *, value: int = 7) -> bytes:
    """The bytes of an image of one colour."""
    return bytes(tf.io.encode_png(np.full((height, width, channels), value, np.uint8)).numpy())


def tensor(value: Any) -> bytes:
    """A serialized tensor."""
    return bytes(tf.io.serialize_tensor(value).numpy())
