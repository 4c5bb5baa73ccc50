"""What tf2onnx lacks in order and economy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def tf2onnx_adjusted(graph_module: Any, transposes: Any) -> Iterator[None]:
    """Makes tf2onnx give the same model every time, and not copy its weights at every pass.

    Args:
        graph_module: `tf2onnx.graph`, which only the file that converts imports.
        transposes: `tf2onnx.optimizer.transpose_optimizer`, likewise.
    """
    Graph, Node = graph_module.Graph, graph_module.Node  # noqa: N806 (classes)
    passing = transposes.TransposeOptimizer
    add = passing._add_handler
    old = Graph.extract_sub_graph_nodes, Graph.find_output_consumers, Node.update_proto
    Graph.extract_sub_graph_nodes = _in_order(Graph.extract_sub_graph_nodes)
    Graph.find_output_consumers = _in_order(Graph.find_output_consumers)
    Node.update_proto = _except_constants(Node.update_proto)
    passing._add_handler = _except_numbers(add)
    try:
        yield
    finally:
        passing._add_handler = add
        Graph.extract_sub_graph_nodes, Graph.find_output_consumers, Node.update_proto = old


def _in_order(method: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    # Passes walk sets, whose order follows memory addresses and the seed of `hash`: which of two
    # equal nodes survives, and the counters in the names made up, would differ from run to run.
    def nodes(*args: Any, **kwargs: Any) -> list[Any]:
        found = method(*args, **kwargs)
        return sorted(found, key=_place) if len(found) > 1 else found

    return nodes


def _except_constants(method: Callable[..., None]) -> Callable[..., None]:
    # After each pass every node is written into its protobuf message. Constants become
    # initializers, for which that message is not used; writing them took most of the time and
    # memory (ResNet50: 14 s of 43 s, 2 GB of 5 GB).
    def update(node: Any, *args: Any, **kwargs: Any) -> None:
        if not node.is_const():
            method(node, *args, **kwargs)

    return update


def _except_numbers(method: Callable[..., bool]) -> Callable[..., bool]:
    # A number added to a convolution without a bias is taken for a bias, which has a dimension.
    def handler(optimizer: Any, transpose: Any, node: Any) -> bool:
        added = node.inputs[1]
        if added.is_const() and not added.get_tensor_value(as_list=False).shape:
            return bool(optimizer._handle_node_having_branches(transpose, node))
        return method(optimizer, transpose, node)

    return handler


def _place(node: Any) -> tuple[str, str]:
    return without_addresses(node.name), node.name


def without_addresses(name: str) -> str:
    """A name without the memory address that tf2onnx's einsum pass writes into it."""
    return re.sub(r"(?<=einsum)\d{6,}", "", name)
