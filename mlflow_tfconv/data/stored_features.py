"""How a feature lies in a tf.train.Example, and its values as a tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.foreign_parsing import decode_image_feature, decode_tensor_feature
from mlflow_tfconv.data.schema import FeatureSpec


def dense_wire(spec: FeatureSpec) -> Any:
    """What `tf.io.parse_example` is to parse, for a dense tensor."""
    if spec.encoding != "list":
        return tf.io.FixedLenFeature([], tf.string)
    dtype = wire_dtype(spec)
    if not spec.varies:
        return tf.io.FixedLenFeature(spec.shape, dtype, _default(spec))
    zero = "" if dtype == tf.string else 0
    return tf.io.FixedLenSequenceFeature(
        spec.shape[1:], dtype, allow_missing=True, default_value=zero
    )


def _default(spec: FeatureSpec) -> Any:
    """What an example gets that lacks the feature; None where none may."""
    return (
        None
        if spec.default is None
        else np.full([size or 0 for size in spec.shape], spec.default).tolist()
    )


def ragged_wire(spec: FeatureSpec) -> Any:
    """What `tf.io.parse_example` is to parse of a feature that varies, for a ragged tensor."""
    if spec.encoding != "list":
        return dense_wire(spec)
    return tf.io.RaggedFeature(wire_dtype(spec), row_splits_dtype=tf.int64)


def wire_dtype(spec: FeatureSpec) -> tf.DType:
    """The type of the list that holds the values."""
    if spec.dtype == "string":
        return tf.string
    return tf.float32 if spec.dtype.startswith("float") else tf.int64


def dense_feature(values: Any, spec: FeatureSpec, shapes: tf.Tensor | None) -> tf.Tensor:
    """A feature of a batch; what varies is padded with zeros to the largest.

    Args:
        values: (batch, ...) as `dense_wire` lets it be parsed.
        spec: What the feature is.
        shapes: (batch, rank) int64, of arrays that vary in more than the first dimension.

    Returns:
        (batch, ...) of the feature's dtype.
    """
    if spec.encoding == "tensor":
        return decode_tensor_feature(values, spec)
    if spec.encoding == "image":
        return decode_image_feature(values, spec)
    dtype = tf.as_dtype(spec.dtype)
    if spec.encoding == "list":
        return values if spec.dtype == "string" else tf.cast(values, dtype)
    if not spec.varies:
        # Of arrays without elements -1 would say nothing.
        count = tf.shape(values)[0] if 0 in spec.shape else -1
        return tf.ensure_shape(
            tf.reshape(tf.io.decode_raw(values, dtype), (count, *spec.shape)), (None, *spec.shape)
        )
    if shapes is not None:
        padded = flat_rows(values, spec, shapes).to_tensor()
    else:  # zeros at the end of the bytes are zeros along the first dimension
        longest = tf.reduce_max(tf.strings.length(values))
        flat = tf.io.decode_raw(values, dtype, fixed_length=longest)
        padded = tf.reshape(
            flat, (tf.shape(values)[0], longest // step_bytes(spec), *spec.shape[1:])
        )
    return tf.ensure_shape(padded, (None, *spec.shape))


def step_bytes(spec: FeatureSpec) -> int:
    """Size of what one step along the first dimension holds; the others do not vary."""
    return int(tf.as_dtype(spec.dtype).size * math.prod(size or 1 for size in spec.shape[1:]))


def flat_rows(values: tf.Tensor, spec: FeatureSpec, shapes: tf.Tensor) -> tf.RaggedTensor:
    """Arrays of different shapes as one ragged tensor, which holds their elements in one piece.

    Args:
        values: (batch,) strings: the little-endian elements in C order.
        spec: What the feature is.
        shapes: (batch, rank) int64.
    """
    elements = tf.io.decode_raw(tf.strings.reduce_join(values), tf.as_dtype(spec.dtype))
    ragged = max(at for at, size in enumerate(spec.shape) if size is None) + 1
    lengths, rows = [], tf.ones_like(shapes[:, 0])
    for at in range(ragged):
        lengths.append(tf.repeat(shapes[:, at], rows))
        rows *= shapes[:, at]
    inner = tf.reshape(elements, (-1, *spec.shape[ragged:]))
    return tf.RaggedTensor.from_nested_row_lengths(inner, lengths)
