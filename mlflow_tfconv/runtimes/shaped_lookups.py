"""Tells the shapes of what is looked up in tables, which TensorFlow leaves open."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def with_lookups_shaped(graph_def: Any) -> Any:
    """The graph with look-ups replaced by what gives the same types and shapes.

    TensorFlow does not know the shape of what a table gives; it is that of the keys.
    """
    copied = type(graph_def)()
    copied.CopyFrom(graph_def)
    for node in copied.node:
        if node.op not in ("LookupTableFind", "LookupTableFindV2"):
            continue
        keys, values = tf.as_dtype(node.attr["Tin"].type), tf.as_dtype(node.attr["Tout"].type)
        taken = node.input[1]
        for name in set(node.attr) - {"_output_shapes"}:
            del node.attr[name]
        del node.input[:]
        node.input.append(taken)
        node.op, types = _same_shape(keys, values)
        for name, dtype in types.items():
            node.attr[name].type = dtype.as_datatype_enum
    return copied


def _same_shape(keys: tf.DType, values: tf.DType) -> tuple[str, dict[str, tf.DType]]:
    """An operation from one type to the other that keeps the shape, and its attributes."""
    if keys == values:
        return "Identity", {"T": keys}
    if values == tf.string:
        return "AsString", {"T": keys}
    if keys == tf.string:
        return "StringToNumber", {"out_type": values}
    return "Cast", {"SrcT": keys, "DstT": values}
