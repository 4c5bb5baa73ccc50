"""A batch of serialized examples parsed into tensors, as the schema says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.schema import SHAPE_SUFFIX, FeatureSpec, Schema

_INDEX_OF_UNKNOWN = -1

#: For functions of a stream that consist of TensorFlow's operations: AutoGraph would take 0.1 s and
#: more to rewrite each, in every process that reads.
as_written = tf.autograph.experimental.do_not_convert


def batch_parser(schema: Schema) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """A function from (batch,) serialized examples to {feature: (batch, ...)}.

    Arrays of varying shape are padded with zeros to the largest of the batch. String labels with
    class names become their index, int64.
    """
    wire = _wire_features(schema)
    encoders = {
        name: _class_index(spec.class_names)
        for name, spec in schema.labels.items()
        if spec.dtype == "string" and spec.class_names
    }

    def parse(records: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(records, wire)
        batch = {name: _decoded(name, spec, parsed) for name, spec in schema.features.items()}
        return batch | {name: encode(batch[name]) for name, encode in encoders.items()}

    return parse


def _wire_features(schema: Schema) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for name, spec in schema.features.items():
        features[name] = _wire_feature(spec)
        if spec.encoding == "raw" and None in spec.shape[1:]:
            features[name + SHAPE_SUFFIX] = tf.io.FixedLenFeature([len(spec.shape)], tf.int64)
    return features


def _wire_feature(spec: FeatureSpec) -> Any:
    if spec.encoding == "raw":
        return tf.io.FixedLenFeature([], tf.string)
    dtype = _wire_dtype(spec)
    if not spec.varies:
        return tf.io.FixedLenFeature(spec.shape, dtype)
    zero = "" if dtype == tf.string else 0
    return tf.io.FixedLenSequenceFeature(
        spec.shape[1:], dtype, allow_missing=True, default_value=zero
    )


def _wire_dtype(spec: FeatureSpec) -> tf.DType:
    if spec.dtype == "string":
        return tf.string
    return tf.float32 if spec.dtype.startswith("float") else tf.int64


def _decoded(name: str, spec: FeatureSpec, parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    values = parsed[name]
    if spec.dtype == "string":
        return values
    dtype = tf.as_dtype(spec.dtype)
    if spec.encoding != "raw":
        return tf.cast(values, dtype)
    if not spec.varies:
        return tf.reshape(tf.io.decode_raw(values, dtype), (-1, *spec.shape))
    if None in spec.shape[1:]:
        return _padded(values, parsed[name + SHAPE_SUFFIX], spec)
    # Only the first dimension varies: zeros at the end of the bytes are zeros along it.
    longest = tf.reduce_max(tf.strings.length(values))
    flat = tf.io.decode_raw(values, dtype, fixed_length=longest)
    longest_rows = longest // (dtype.size * math.prod(d or 1 for d in spec.shape[1:]))
    padded = tf.reshape(flat, (tf.shape(values)[0], longest_rows, *spec.shape[1:]))
    return tf.ensure_shape(padded, (None, *spec.shape))


def _padded(values: tf.Tensor, shapes: tf.Tensor, spec: FeatureSpec) -> tf.Tensor:
    dtype = tf.as_dtype(spec.dtype)
    largest = tf.reduce_max(shapes, axis=0)

    def decode(item: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        data, shape = item
        array = tf.reshape(tf.io.decode_raw(data, dtype), shape)
        return tf.pad(array, tf.stack([tf.zeros_like(shape), largest - shape], axis=1))

    padded = tf.map_fn(decode, (values, shapes), fn_output_signature=dtype)
    return tf.ensure_shape(padded, (None, *spec.shape))


def _class_index(names: tuple[str, ...]) -> Callable[[tf.Tensor], tf.Tensor]:
    entries = tf.lookup.KeyValueTensorInitializer(
        tf.constant(names), tf.range(len(names), dtype=tf.int64)
    )
    table = tf.lookup.StaticHashTable(entries, default_value=_INDEX_OF_UNKNOWN)
    return lambda values: table.lookup(values)
