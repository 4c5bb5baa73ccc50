"""A batch of serialized examples parsed into tensors, as the schema says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.foreign_parsing import parse_sequence_examples
from mlflow_tfconv.data.ragged_parsing import ragged_feature, ragged_steps
from mlflow_tfconv.data.schema import SHAPE_SUFFIX, FeatureSpec, Schema
from mlflow_tfconv.data.stored_features import dense_feature, dense_wire, ragged_wire

Batch = dict[str, Any]

_INDEX_OF_UNKNOWN = -1

#: For functions of a stream that consist of TensorFlow's operations: AutoGraph would take 0.1 s and
#: more to rewrite each, in every process that reads.
as_written = tf.autograph.experimental.do_not_convert


def batch_parser(
    schema: Schema, names: Collection[str] | None = None, *, ragged: bool = False
) -> Callable[[tf.Tensor], Batch]:
    """A function from (batch,) serialized examples to {feature: (batch, ...)}.

    String labels with class names become their index, int64.

    Args:
        schema: What the examples are; its layout is not "block".
        names: The features to parse; None parses all.
        ragged: Whether arrays of varying shape become tf.RaggedTensor; otherwise they are padded
            with zeros to the largest of the batch.
    """
    chosen = {n: spec for n, spec in schema.features.items() if names is None or n in names}
    encoders = class_encoders(schema, chosen)

    def parse(records: tf.Tensor) -> Batch:
        batch = _parsed(records, chosen, schema, ragged)
        return batch | {name: encode(batch[name]) for name, encode in encoders.items()}

    return parse


def class_encoders(
    schema: Schema, names: Collection[str]
) -> dict[str, Callable[[tf.Tensor], tf.Tensor]]:
    """Label to the function that makes text the index of its class."""
    return {
        name: _class_index(spec.class_names)
        for name, spec in schema.labels.items()
        if name in names and spec.dtype == "string" and spec.class_names
    }


def _parsed(
    records: tf.Tensor, chosen: Mapping[str, FeatureSpec], schema: Schema, ragged: bool
) -> Batch:
    plain = {name: spec for name, spec in chosen.items() if not spec.sequence}
    steps = {name: spec for name, spec in chosen.items() if spec.sequence}
    wire = _wire(plain, ragged)
    lists: Batch = {}
    if schema.layout != "sequence_example":
        stored = tf.io.parse_example(records, wire)
    elif ragged:
        stored, _ = parse_sequence_examples(records, wire, {})
        lists = {name: ragged_steps(records, name, spec) for name, spec in steps.items()}
    else:
        stored, lists = parse_sequence_examples(records, wire, steps)
    features = {name: _feature(name, spec, stored, ragged) for name, spec in plain.items()}
    found = features | lists
    return {name: found[name] for name in chosen}


def _wire(features: Mapping[str, FeatureSpec], ragged: bool) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    for name, spec in features.items():
        wire[name] = ragged_wire(spec) if ragged and spec.varies else dense_wire(spec)
        if spec.encoding == "raw" and None in spec.shape[1:]:
            wire[name + SHAPE_SUFFIX] = tf.io.FixedLenFeature([len(spec.shape)], tf.int64)
    return wire


def _feature(name: str, spec: FeatureSpec, stored: Mapping[str, Any], ragged: bool) -> Any:
    shapes = stored.get(name + SHAPE_SUFFIX)
    if ragged and spec.varies:
        return ragged_feature(stored[name], spec, shapes)
    return dense_feature(stored[name], spec, shapes)


def _class_index(names: tuple[str, ...]) -> Callable[[tf.Tensor], tf.Tensor]:
    entries = tf.lookup.KeyValueTensorInitializer(
        tf.constant(names), tf.range(len(names), dtype=tf.int64)
    )
    table = tf.lookup.StaticHashTable(entries, default_value=_INDEX_OF_UNKNOWN)
    return lambda values: table.lookup(values)
