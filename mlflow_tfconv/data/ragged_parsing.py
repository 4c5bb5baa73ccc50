"""Features of varying shape as ragged tensors."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.foreign_parsing import parse_sequence_examples
from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.data.stored_features import dense_feature, flat_rows, step_bytes


def ragged_feature(values: Any, spec: FeatureSpec, shapes: tf.Tensor | None) -> tf.RaggedTensor:
    """A feature that varies, of a batch.

    Args:
        values: As `ragged_wire` lets it be parsed.
        spec: What the feature is.
        shapes: (batch, rank) int64, of arrays that vary in more than the first dimension.

    Returns:
        (batch, ...) of the feature's dtype; ragged up to the last dimension that varies.
    """
    if spec.encoding in ("tensor", "image"):
        return _one_by_one(values, lambda one: dense_feature(one, spec, None), spec)
    if spec.encoding == "list":
        return _list(values, spec)
    if shapes is None:
        steps = tf.strings.length(values) // step_bytes(spec)
        inner = tf.broadcast_to(spec.shape[1:], (tf.shape(values)[0], len(spec.shape) - 1))
        shapes = tf.concat([steps[:, tf.newaxis], tf.cast(inner, steps.dtype)], axis=1)
    return flat_rows(values, spec, tf.cast(shapes, tf.int64))


def ragged_steps(records: tf.Tensor, name: str, spec: FeatureSpec) -> tf.RaggedTensor:
    """A feature list of a batch of serialized tf.train.SequenceExample."""

    def parse(record: tf.Tensor) -> tf.Tensor:
        return parse_sequence_examples(record, {}, {name: spec})[1][name]

    return _one_by_one(records, parse, spec)


def _list(values: tf.RaggedTensor, spec: FeatureSpec) -> tf.RaggedTensor:
    if spec.dtype != "string":
        values = tf.cast(values, tf.as_dtype(spec.dtype))
    if len(spec.shape) == 1:
        return values
    inner = tf.reshape(values.flat_values, (-1, *spec.shape[1:]))
    lengths = values.row_lengths() // math.prod(size or 1 for size in spec.shape[1:])
    return tf.RaggedTensor.from_row_lengths(inner, lengths)


def _one_by_one(values: tf.Tensor, decode: Any, spec: FeatureSpec) -> tf.RaggedTensor:
    """Each value decoded as a batch of one, where nothing is padded."""
    last = max(at for at, size in enumerate(spec.shape) if size is None)

    def one(value: tf.Tensor) -> Any:
        array = tf.ensure_shape(decode(value[tf.newaxis])[0], spec.shape)
        return tf.RaggedTensor.from_tensor(array, ragged_rank=last) if last else array

    signature = tf.RaggedTensorSpec(spec.shape, tf.as_dtype(spec.dtype), ragged_rank=last)
    return tf.map_fn(one, values, fn_output_signature=signature)
