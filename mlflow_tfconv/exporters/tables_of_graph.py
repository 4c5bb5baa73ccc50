"""The tables of a TensorFlow 1 graph as objects that a SavedModel can be saved with."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.evaluated import evaluated
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.table_nodes import (
    CHANGING_TABLES,
    asset_refs,
    filler_of,
    table_names,
)


def tables_of_graph(part: Graph, source: GraphSource) -> dict[str, Any]:
    """Node of each table in a part of the graph to a filled `tf.lookup.StaticHashTable`.

    Args:
        part: The part that is converted.
        source: The whole graph, which fills its tables, and the files of the model.

    Raises:
        ConversionError: A table changes while it is used, or nothing known fills it.
    """
    for node in part:
        if node.op in CHANGING_TABLES:
            raise _unfilled(node, "its rows change while the model runs")
    whole = Graph.of(source.graph_def)
    return {name: _table(whole, whole[name], source) for name in table_names(part)}


def _table(whole: Graph, node: Node, source: GraphSource) -> Any:
    filler = filler_of(whole, node.name)
    if filler is None:
        raise _unfilled(node, "nothing in the graph fills it")
    key = tf.as_dtype(node.attr["key_dtype"].type)
    value = tf.as_dtype(node.attr["value_dtype"].type)
    if "TextFile" in filler.op:
        initializer = _of_file(whole, filler, source, (key, value))
    else:
        keys, values = evaluated(whole, filler.inputs[1:3], source)
        initializer = tf.lookup.KeyValueTensorInitializer(keys, values, key, value)
    # What is looked up in vain is decided by the node that looks it up.
    nothing = "" if value == tf.string else 0
    return tf.lookup.StaticHashTable(initializer, nothing)


def _of_file(whole: Graph, filler: Node, source: GraphSource, types: tuple[Any, Any]) -> Any:
    path = asset_refs(source.assets).get(_origin(whole, filler.inputs[1]))
    if path is None:
        raise _unfilled(filler, "it reads a file that is not among the model's own")
    count = filler.attr["vocab_size"].i if "vocab_size" in filler.attr else -1
    delimiter = filler.attr["delimiter"].s.decode() if "delimiter" in filler.attr else "\t"
    return tf.lookup.TextFileInitializer(
        str(path),
        types[0],
        filler.attr["key_index"].i,
        types[1],
        filler.attr["value_index"].i,
        vocab_size=None if count < 0 else count,
        delimiter=delimiter,
    )


def _origin(graph: Graph, tensor: Ref) -> Ref:
    while graph[tensor.node].op == "Identity":
        tensor = graph[tensor.node].inputs[0]
    return tensor


def _unfilled(node: Node, why: str) -> ConversionError:
    return ConversionError(
        f"The table {node.name} can't be converted: {why}.",
        received=f"operation {node.op}, node {node.name}",
        expected="tables that constants or files of the model fill once",
        fix="Cut the graph behind the look-up with inputs=, or before it with outputs=.",
    )
