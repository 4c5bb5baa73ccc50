"""Features as others store them: serialized tensors, encoded images, lists of sequence examples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.data.tensor_messages import serialized_head

# Decoding is work for several threads at once, also within one batch.
_DECODED_AT_ONCE = 16

Decode = Callable[[tf.Tensor], tf.Tensor]


def decode_tensor_feature(values: tf.Tensor, spec: FeatureSpec) -> tf.Tensor:
    """Serialized TensorProtos as arrays.

    Args:
        values: (batch,) strings.
        spec: Its encoding is "tensor".

    Returns:
        (batch, ...) of the feature's dtype; what varies is padded with zeros (empty strings) to
        the largest of the batch.
    """
    dtype = tf.as_dtype(spec.dtype)

    stored = tf.as_dtype(spec.stored_dtype or spec.dtype)

    def decode(value: tf.Tensor) -> tf.Tensor:
        tensor = tf.io.parse_tensor(value, stored)
        return tensor if stored == dtype else tf.cast(tensor, dtype)

    if spec.varies:
        return _padded(values, decode, spec)
    if spec.dtype == "string" or stored != dtype:
        return _each(values, decode, spec)
    return _of_one_size(values, decode, spec)


def decode_image_feature(values: tf.Tensor, spec: FeatureSpec) -> tf.Tensor:
    """Encoded images (JPEG, PNG, GIF, BMP) as pixels; of an animation the first frame.

    Args:
        values: (batch,) strings.
        spec: Its encoding is "image", its shape (height, width, channels).

    Returns:
        (batch, height, width, channels) uint8; what varies is padded with zeros.
    """
    channels = spec.shape[-1] or 3

    def decode(value: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_image(value, channels=channels, expand_animations=False)

    return _padded(values, decode, spec) if spec.varies else _each(values, decode, spec)


def parse_sequence_examples(
    records: tf.Tensor, context: Mapping[str, Any], sequence: Mapping[str, FeatureSpec]
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Parses a batch of tf.train.SequenceExample.

    Args:
        records: (batch,) serialized messages.
        context: How `tf.io` parses the features of the context.
        sequence: The feature lists: the first dimension of their shapes is the steps.

    Returns:
        The context as `tf.io` parsed it; and the lists (batch, steps, ...), padded with zeros to
        the longest of the batch.
    """
    wire = {name: _wire_list(spec) for name, spec in sequence.items()}
    parsed, lists, _ = tf.io.parse_sequence_example(
        records, context_features=dict(context) or None, sequence_features=wire
    )
    return parsed, {name: _steps(lists[name], spec) for name, spec in sequence.items()}


def _of_one_size(values: tf.Tensor, decode: Decode, spec: FeatureSpec) -> tf.Tensor:
    """As `_each`; without a look at each value where all begin as TensorFlow itself writes them."""
    head = serialized_head(spec)
    dtype = tf.as_dtype(spec.dtype)
    size_bytes = dtype.size * math.prod(size or 0 for size in spec.shape)
    usual = tf.reduce_all(tf.strings.substr(values, 0, len(head)) == head)
    usual &= tf.reduce_all(tf.strings.length(values) == len(head) + size_bytes)

    def quick() -> tf.Tensor:
        content = tf.strings.substr(values, len(head), size_bytes)
        shape = tf.concat([tf.shape(values), spec.shape], axis=0)  # -1 says nothing of empty arrays
        return tf.reshape(tf.io.decode_raw(content, dtype), tf.cast(shape, tf.int32))

    found = tf.cond(usual, quick, lambda: _each(values, decode, spec))
    return tf.ensure_shape(found, (None, *spec.shape))


def _each(values: tf.Tensor, decode: Decode, spec: FeatureSpec) -> tf.Tensor:
    """Each value decoded; all are of the feature's shape."""

    def one(value: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(decode(value), spec.shape)

    signature = tf.TensorSpec(spec.shape, tf.as_dtype(spec.dtype))
    return tf.map_fn(
        one, values, fn_output_signature=signature, parallel_iterations=_DECODED_AT_ONCE
    )


def _padded(values: tf.Tensor, decode: Decode, spec: FeatureSpec) -> tf.Tensor:
    """Each value decoded, then all padded to the largest."""
    none = [0, *(size or 0 for size in spec.shape)]
    padded = tf.cond(
        tf.size(values) > 0,
        lambda: _padded_some(values, decode, spec),
        lambda: tf.zeros(none, tf.as_dtype(spec.dtype)),  # nothing to tell the largest from
    )
    return tf.ensure_shape(padded, (None, *spec.shape))


def _padded_some(values: tf.Tensor, decode: Decode, spec: FeatureSpec) -> tf.Tensor:
    count = tf.shape(values)[0]
    dtype = tf.as_dtype(spec.dtype)
    arrays = tf.TensorArray(dtype, count, element_shape=spec.shape, infer_shape=False)
    shapes = tf.TensorArray(tf.int32, count, element_shape=(len(spec.shape),))
    _, arrays, shapes = tf.while_loop(
        lambda at, *_: at < count,
        lambda at, *found: _decoded_at(at, values, decode, spec, *found),
        (0, arrays, shapes),
        parallel_iterations=_DECODED_AT_ONCE,
    )
    largest = tf.reduce_max(shapes.stack(), axis=0)

    def pad(at: tf.Tensor) -> tf.Tensor:
        array = arrays.read(at)
        missing = largest - tf.shape(array)
        edges = tf.stack([tf.zeros_like(missing), missing], axis=1)
        return tf.pad(array, edges, constant_values="" if dtype == tf.string else tf.cast(0, dtype))

    signature = tf.TensorSpec(spec.shape, dtype)
    return tf.map_fn(pad, tf.range(count), fn_output_signature=signature)


def _decoded_at(
    at: tf.Tensor, values: tf.Tensor, decode: Decode, spec: FeatureSpec, *found: tf.TensorArray
) -> tuple[Any, ...]:
    arrays, shapes = found
    array = tf.ensure_shape(decode(values[at]), spec.shape)
    return at + 1, arrays.write(at, array), shapes.write(at, tf.shape(array))


def _wire_list(spec: FeatureSpec) -> Any:
    if spec.encoding != "list":
        return tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
    dtype = _wire_dtype(spec)
    if None in spec.shape[1:]:
        return tf.io.RaggedFeature(dtype)
    return tf.io.FixedLenSequenceFeature(spec.shape[1:], dtype, allow_missing=True)


def _wire_dtype(spec: FeatureSpec) -> tf.DType:
    if spec.dtype == "string":
        return tf.string
    return tf.float32 if spec.dtype.startswith("float") else tf.int64


def _steps(values: Any, spec: FeatureSpec) -> tf.Tensor:
    dtype = tf.as_dtype(spec.dtype)
    if spec.encoding != "list":
        return _decoded_steps(values, spec)
    if isinstance(values, tf.RaggedTensor):
        values = values.to_tensor()
    return tf.ensure_shape(tf.cast(values, dtype), (None, *spec.shape))


def _decoded_steps(values: tf.Tensor, spec: FeatureSpec) -> tf.Tensor:
    """(batch, steps) strings, empty where a list is short, as (batch, steps, ...) with zeros there."""
    there = tf.where(tf.strings.length(values) > 0)
    one = dataclasses.replace(spec, shape=spec.shape[1:], sequence=False)
    decoded = _decoded_one(tf.gather_nd(values, there), one)
    shape = tf.concat(
        [tf.shape(values, out_type=tf.int64), tf.shape(decoded, tf.int64)[1:]], axis=0
    )
    return tf.ensure_shape(tf.scatter_nd(there, decoded, shape), (None, *spec.shape))


def _decoded_one(values: tf.Tensor, spec: FeatureSpec) -> tf.Tensor:
    if spec.encoding == "image":
        return decode_image_feature(values, spec)
    if spec.encoding == "tensor":
        return decode_tensor_feature(values, spec)
    return tf.reshape(tf.io.decode_raw(values, tf.as_dtype(spec.dtype)), (-1, *spec.shape))
