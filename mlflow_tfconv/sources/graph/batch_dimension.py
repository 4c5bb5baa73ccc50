"""A batch of any size where the graph was built for a certain one, if nothing forbids it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref, type_attr
from mlflow_tfconv.sources.graph.known_values import known_values
from mlflow_tfconv.sources.graph.node_names import leaf
from mlflow_tfconv.sources.graph.plain_graph import placeholder
from mlflow_tfconv.sources.graph.tensor_types import Shape, message_of_shape, type_of
from mlflow_tfconv.sources.graph.traced_shapes import traced_shapes


@dataclass(frozen=True, slots=True)
class BatchDimension:
    """What was found.

    Attributes:
        graph: The graph, with open batch dimensions where that is possible.
        shapes: The shapes of its tensors.
        fixed: The size of a batch that the graph insists on, or None.
        unfolded: The size that constants of the original graph are for, when shapes that had been
            computed in advance are computed again; else None.
    """

    graph: Graph
    shapes: dict[Ref, Shape]
    fixed: int | None = None
    unfolded: int | None = None


def with_open_batch(graph: Graph, inputs: Iterable[Ref], outputs: Iterable[Ref]) -> BatchDimension:
    """Opens the first dimension of all inputs that have the same size there.

    The attempt counts when every output that had this first size has it open then.

    Args:
        graph: The graph; its inputs are placeholders.
        inputs: The placeholders.
        outputs: The tensors of interest.
    """
    shapes = traced_shapes(graph)
    size, closed = _size(inputs, shapes)
    batched = [item for item in outputs if _first(shapes.get(item)) == size]
    if size is None or not batched:
        return BatchDimension(graph, shapes)
    opened = graph.replaced({item.node: _opened(graph[item.node], shapes[item]) for item in closed})
    for candidate, unfolded in ((opened, None), (_unfolded(opened, shapes, size), size)):
        found = traced_shapes(candidate)
        if all(found.get(item) and _first(found.get(item)) is None for item in batched):
            return BatchDimension(candidate, found, unfolded=unfolded)
    return BatchDimension(graph, shapes, fixed=size)


def _size(inputs: Iterable[Ref], shapes: Mapping[Ref, Shape]) -> tuple[int | None, list[Ref]]:
    """The one static size, and the inputs that have it; None when they differ or have none."""
    sizes = {item: _first(shapes.get(item)) for item in inputs if shapes.get(item)}
    closed = [item for item, size in sizes.items() if size is not None]
    if len({sizes[item] for item in closed}) != 1 or len(closed) != len(sizes):
        return None, []
    return sizes[closed[0]], closed


def _first(shape: Shape) -> int | None:
    return shape[0] if shape else None


def _opened(node: Node, shape: Shape) -> Node:
    sizes = (None, *(shape or ())[1:])
    return placeholder(node.name, node.attr["dtype"].type, message_of_shape(sizes))


def _unfolded(graph: Graph, shapes: Mapping[Ref, Shape], size: int) -> Graph:
    """Computes shapes again that `tf.shape` had computed when the graph was built."""
    changes: dict[str, Node | None] = {}
    before: dict[tuple[int | None, ...], Ref] = {}
    constants = known_values(graph.part(n.name for n in graph if n.op == "Const"), {})
    for node in graph:
        shape = shapes.get(Ref(node.name))
        value = constants.constant(Ref(node.name))
        if node.op == "Const" and leaf(node.name) == "Shape" and value is not None:
            tensor = before.get(tuple(int(one) for one in value.reshape(-1)))
            if tensor is not None and size in value:
                changes[node.name] = _shape_of(graph, node, tensor)
        elif shape and node.op not in ("Const", "Identity"):
            before[shape] = Ref(node.name)
    return graph.replaced(changes)


def _shape_of(graph: Graph, node: Node, tensor: Ref) -> Node:
    kind = type_attr(type_of(graph, tensor) or 1)
    attributes = {"T": kind, "out_type": node.attr["dtype"]}
    return replace(node, op="Shape", inputs=(tensor,), attr=attributes)
