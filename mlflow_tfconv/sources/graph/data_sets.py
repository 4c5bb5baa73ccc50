"""Which of a graph's tensors depend on examples, which on weights alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.op_kinds import (
    PIPELINES,
    PLACEHOLDERS,
    SHAPE_ONLY,
    VARIABLES,
    is_update,
)
from mlflow_tfconv.sources.graph.tensor_types import declared_shape

#: Make one number of many: what they make of weights is a penalty, not a layer.
_REDUCTIONS = frozenset({"L2Loss", "Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm"})
#: Constants of a frozen graph that have as many values are weights.
_FEWEST_WEIGHTS = 2


@dataclass(frozen=True, slots=True)
class DataSets:
    """What each node depends on.

    Attributes:
        sources: Tensors that examples come from, in the order of the graph.
        data: Name of a node to the sources its values depend on, one bit each.
        weights: Names of nodes whose values depend on weights.
        arrays: Those among them whose values are whole arrays of weights, and no examples'.
        bits: The bit of each source.
        has_arrays: Whether any weight that training changes is more than a number.
    """

    sources: tuple[Ref, ...]
    data: dict[str, int]
    weights: set[str]
    arrays: set[str]

    bits: dict[Ref, int]
    has_arrays: bool = True

    def of(self, tensor: Ref) -> int:
        """The sources that a tensor depends on, one bit each."""
        return self.bits[tensor] if tensor in self.bits else self.data.get(tensor.node, 0)

    def has_data(self, tensor: Ref) -> bool:
        """Whether a tensor depends on an example."""
        return bool(self.of(tensor))

    def is_weight(self, tensor: Ref) -> bool:
        """Whether it depends on weights, and on no example."""
        return tensor.node in self.weights and not self.of(tensor)

    def layers(self, graph: Graph) -> Iterator[tuple[Node, int]]:
        """The nodes in which examples meet weights, with the sources of what meets them."""
        arrays = self.arrays if self.has_arrays else self.weights
        for node in graph:
            if is_update(node.op):
                continue
            bits = 0
            for item in node.inputs:
                bits |= self.of(item)
            if bits and any(self._is_layer_input(item, arrays) for item in node.inputs):
                yield node, bits

    def _is_layer_input(self, item: Ref, arrays: set[str]) -> bool:
        return item.node in arrays and not self.of(item)


def data_sets(graph: Graph) -> DataSets:
    """Follows examples and weights through a graph; a tensor's shape is no value of it."""
    sources = tuple(_sources(graph))
    bits = {item: 1 << place for place, item in enumerate(sources)}
    frozen = not any(node.op in VARIABLES for node in graph)
    arrays = frozen or any(
        node.op in VARIABLES and _is_array(node, frozen, set()) for node in graph
    )
    found = DataSets(sources, {}, set(), set(), bits, arrays)
    sizes = None
    while sizes != (sizes := _followed(graph, found, frozen)):
        pass  # what goes round in a loop is known after the next turn
    return found


def _followed(graph: Graph, found: DataSets, frozen: bool) -> tuple[int, int]:
    """Follows everything once; gives how much is known."""
    for name in graph.order:
        node = graph[name]
        found.data[name] = _bits(node, found)
        taken = () if node.op in SHAPE_ONLY else node.inputs
        if _is_weight(node, frozen) or any(item.node in found.weights for item in taken):
            found.weights.add(name)
        if found.data[name]:
            found.arrays.discard(name)
        elif _is_array(node, frozen, found.arrays):
            found.arrays.add(name)
    return sum(value.bit_count() for value in found.data.values()), len(found.weights)


def _sources(graph: Graph) -> Iterator[Ref]:
    """Placeholders, and each component of a pipeline that somebody takes.

    A scalar with a default is a setting, no example.
    """
    used = {item for node in graph for item in node.inputs}
    for node in graph:
        if node.op == "PlaceholderWithDefault":
            if declared_shape(graph, Ref(node.name)) != ():
                yield Ref(node.name)
        elif node.op in PLACEHOLDERS:
            yield Ref(node.name)
        elif node.op in PIPELINES:
            yield from sorted(item for item in used if item.node == node.name)


def _bits(node: Node, known: DataSets) -> int:
    if _is_source(node):
        own = sum(bit for item, bit in known.bits.items() if item.node == node.name)
        return own or sum(known.of(item) for item in node.inputs[:1])
    if node.op in SHAPE_ONLY:
        return 0
    found = 0
    for item in node.inputs:
        found |= known.of(item)
    return found


def _is_source(node: Node) -> bool:
    return node.op in PLACEHOLDERS or node.op in PIPELINES


def _is_weight(node: Node, frozen: bool) -> bool:
    return node.op in VARIABLES or (frozen and _is_large_constant(node))


def _is_array(node: Node, frozen: bool, arrays: set[str]) -> bool:
    if node.op in VARIABLES:
        return bool(node.attr["shape"].shape.dim) or node.attr["shape"].shape.unknown_rank
    if frozen and _is_large_constant(node):
        return True
    if node.op in _REDUCTIONS or node.op in SHAPE_ONLY:
        return False
    return any(item.node in arrays for item in node.inputs)


def _is_large_constant(node: Node) -> bool:
    if node.op != "Const":
        return False
    message = node.attr["value"].tensor
    count = 1
    for dim in message.tensor_shape.dim:
        count *= dim.size
    floating = message.dtype in (1, 2, 14, 19)  # float32, float64, bfloat16, float16
    return floating and bool(message.tensor_shape.dim) and count >= _FEWEST_WEIGHTS
