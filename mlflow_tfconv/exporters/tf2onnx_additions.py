"""What tf2onnx lacks: operations it has no handler for, and the same result every time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tf2onnx.graph import Graph


def _erfc(graph: Any, node: Any, _name: str, _args: Any) -> None:
    """erfc(x) = 1 - erf(x): the exact GELU of Keras."""
    dtype = graph.get_dtype(node.output[0])
    one = np.ones((), dtype=np.float64 if dtype == 11 else np.float32)
    shape = graph.get_shape(node.output[0])
    erf = graph.make_node("Erf", [node.input[0]], dtypes=[dtype], shapes=[shape])
    graph.remove_node(node.name)
    graph.make_node(
        "Sub",
        [graph.make_const(f"{node.name}_one", one).output[0], erf.output[0]],
        outputs=[node.output[0]],
        name=node.name,
        dtypes=[dtype],
        shapes=[shape],
    )


#: TensorFlow operation to its handler, as tf2onnx takes them.
OPERATIONS: dict[str, tuple[Any, list[Any]]] = {"Erfc": (_erfc, [])}


@contextmanager
def nodes_in_order() -> Iterator[None]:
    """Makes tf2onnx give the same model every time.

    Its passes walk sets, whose order follows memory addresses and the seed of `hash`: which of two
    equal nodes survives, and the counters in the names it makes up, would differ from run to run.
    """
    needed, consumers = Graph.extract_sub_graph_nodes, Graph.find_output_consumers

    def sorted_needed(graph: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return sorted(needed(graph, *args, **kwargs), key=_place)

    def sorted_consumers(graph: Any, name: str) -> list[Any]:
        return sorted(consumers(graph, name), key=_place)

    Graph.extract_sub_graph_nodes, Graph.find_output_consumers = sorted_needed, sorted_consumers
    try:
        yield
    finally:
        Graph.extract_sub_graph_nodes, Graph.find_output_consumers = needed, consumers


def _place(node: Any) -> tuple[str, str]:
    return without_addresses(node.name), node.name


def without_addresses(name: str) -> str:
    """A name without the memory address that tf2onnx's einsum pass writes into it."""
    return re.sub(r"(?<=einsum)\d{6,}", "", name)
