"""How long a feature of serialized examples is, without the rest of them being parsed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.schema import SHAPE_SUFFIX, FeatureSpec, Schema
from mlflow_tfconv.data.stored_features import step_bytes, wire_dtype


def lengths_of(schema: Schema, name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from (n,) serialized examples to (n,) int32 lengths.

    The length is the first dimension of an array and the bytes of a text; of serialized tensors
    and encoded images it is their size in bytes, which grows with it.
    """
    spec = schema.features[name]
    if spec.sequence:
        return lambda records: _steps(records, name, spec)
    wire, length = _wire(name, spec)
    if schema.layout != "sequence_example":
        return lambda records: tf.cast(length(tf.io.parse_example(records, wire)), tf.int32)

    def of_context(records: tf.Tensor) -> tf.Tensor:
        context, _, _ = tf.io.parse_sequence_example(records, context_features=wire)
        return tf.cast(length(context), tf.int32)

    return of_context


def _wire(name: str, spec: FeatureSpec) -> tuple[dict[str, Any], Callable[[Any], tf.Tensor]]:
    if spec.encoding == "list" and spec.shape:
        inner = math.prod(size or 1 for size in spec.shape[1:])
        wire = {name: tf.io.RaggedFeature(wire_dtype(spec))}
        return wire, lambda parsed: parsed[name].row_lengths() // inner
    if spec.encoding == "raw" and None in spec.shape[1:]:
        shape = name + SHAPE_SUFFIX
        wire = {shape: tf.io.FixedLenFeature([len(spec.shape)], tf.int64)}
        return wire, lambda parsed: parsed[shape][:, 0]
    each = step_bytes(spec) if spec.encoding == "raw" else 1
    wire = {name: tf.io.FixedLenFeature([], tf.string)}
    return wire, lambda parsed: tf.strings.length(parsed[name]) // each


def _steps(records: tf.Tensor, name: str, spec: FeatureSpec) -> tf.Tensor:
    dtype = wire_dtype(spec) if spec.encoding == "list" else tf.string
    wire = {name: tf.io.RaggedFeature(dtype)}
    _, lists, _ = tf.io.parse_sequence_example(records, sequence_features=wire)
    return tf.cast(lists[name].row_lengths(), tf.int32)
