"""Tables of a graph: who fills them, from constants or from files of the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref, ref
from mlflow_tfconv.sources.graph.plain_graph import constant

_TABLES = frozenset({"HashTable", "HashTableV2"})
CHANGING_TABLES = frozenset(
    {
        *("MutableHashTable", "MutableHashTableV2", "MutableHashTableOfTensors"),
        *("MutableHashTableOfTensorsV2", "MutableDenseHashTable", "MutableDenseHashTableV2"),
    }
)
_FILLING = (
    "InitializeTable",
    "InitializeTableV2",
    "InitializeTableFromTextFile",
    "InitializeTableFromTextFileV2",
    "LookupTableImport",
    "LookupTableImportV2",
)


def table_names(graph: Graph) -> tuple[str, ...]:
    """Names of the nodes that make tables."""
    return tuple(node.name for node in graph if node.op in _TABLES)


def filling_nodes(whole: Graph, part: Graph) -> tuple[Node, ...]:
    """The nodes that fill a part's tables, and what they need besides."""
    tables = set(table_names(part))
    if not tables:
        return ()
    fillers = [node.name for node in whole if node.op in _FILLING and _table(whole, node) in tables]
    needed = whole.ancestors(fillers)
    uncontrolled = (whole[name] for name in whole.nodes if name in needed and name not in part)
    return tuple(Node(node.name, node.op, node.inputs, (), node.attr) for node in uncontrolled)


def filler_of(whole: Graph, table: str) -> Node | None:
    """The node that fills a table."""
    return next(
        (node for node in whole if node.op in _FILLING and _table(whole, node) == table), None
    )


def _table(graph: Graph, node: Node) -> str:
    item = node.inputs[0]
    while item.node in graph and graph[item.node].op == "Identity":
        item = graph[item.node].inputs[0]
    return item.node


def with_assets(graph: Graph, source: GraphSource) -> Graph:
    """The graph with the paths of the model's own files in place of the exporter's."""
    changes: dict[str, Node | None] = {}
    for tensor, path in asset_refs(source.assets).items():
        if tensor.node in graph:
            changes[tensor.node] = constant(tensor.node, np.asarray(str(path).encode(), object))
    return graph.replaced(changes)


def asset_refs(assets: Mapping[str, Path]) -> dict[Ref, Path]:
    """Tensor to the file whose path it has."""
    return {ref(name): path for name, path in assets.items()}
