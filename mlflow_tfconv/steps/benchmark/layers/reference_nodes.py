"""The nodes of the reference's file, to be found by the names that tensors and nodes have elsewhere.

What works on a graph keeps names and adds to them: `x` becomes `x_QuantizeLinear_Output`,
`InsertedPrecisionFreeCast_x`, `x_nchwc`, `x_token_3`, `x/QuickGeluFusion/`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlflow_tfconv.steps.benchmark.worker.onnx_nodes import GraphNode, NodeGraph

#: Operators whose output is their first input in another type, layout or place.
PASSING_ON = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Identity"),
        *("ReorderInput", "ReorderOutput", "MemcpyFromHost", "MemcpyToHost"),
    }
)
_BEFORE = re.compile(r"^(InsertedPrecisionFreeCast_|InsertedCast_|FusedBack_|fused )")
_BEHIND = re.compile(
    r"(_token_\d+|/[A-Za-z]*Fus[a-z]+[A-Za-z]*/?|[_ ][A-Za-z][A-Za-z0-9]*/?)(:\d+)?$"
)
_MOST_PARTS = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where something belongs in the reference.

    Attributes:
        node: Number of the node in the reference's file.
        exact: Whether the node's own output is meant, so that all that was fused with it lies
            before it; a name alone may stand for the first of several.
    """

    node: int
    exact: bool


class ReferenceNodes:
    """The nodes of a file and where they are found.

    Attributes:
        nodes: In the file's order.
        constant: Numbers of nodes that depend on no input: they are computed before any run.
    """

    def __init__(self, graph: NodeGraph) -> None:
        """Indexes the nodes by their names and tensors."""
        self.nodes = graph.nodes
        self._producers = {t: n for n, node in enumerate(graph.nodes) for t in node.outputs if t}
        self._by_name = {node.name: n for n, node in reversed(list(enumerate(graph.nodes)))}
        self._by_name.pop("", None)
        self._consumers: dict[str, list[int]] = defaultdict(list)
        for number, node in enumerate(graph.nodes):
            for tensor in dict.fromkeys(filter(None, node.inputs)):
                self._consumers[tensor].append(number)
        self.constant = self._constant(graph.constants)

    def named(self, name: str) -> Place | None:
        """Where a node of this name belongs: some are named for the tensor that they make."""
        for part in _parts(name):
            if part in self._by_name:
                return Place(self._by_name[part], exact=False)
            if part != name and part in self._producers:
                return Place(self._producers[part], exact=True)
        return None

    def holding(self, tensor: str, made_by: Mapping[str, GraphNode]) -> Place | None:
        """Where the node that makes a tensor belongs.

        Args:
            tensor: Its name in the variant.
            made_by: Tensor to node in the variant's file.
        """
        seen = set()
        while tensor not in self._producers and tensor not in seen:
            seen.add(tensor)
            if tensor in self._consumers:
                return Place(self._consumers[tensor][0], exact=False)
            node = made_by.get(tensor)
            if node is None or not node.inputs:
                break
            if node.operator not in PASSING_ON:
                known = self._by_name.get(node.name)
                return None if known is None else Place(known, exact=True)
            tensor = node.inputs[0]
        if tensor in self._producers:
            return Place(self._producers[tensor], exact=True)
        return self._by_parts(tensor)

    def before(self, number: int) -> list[int]:
        """The nodes that make the inputs of a node."""
        inputs = self.nodes[number].inputs
        return sorted({self._producers[t] for t in inputs if t in self._producers})

    def behind(self, number: int) -> list[int]:
        """The nodes that take the outputs of a node."""
        return sorted({n for t in self.nodes[number].outputs for n in self._consumers.get(t, ())})

    def _by_parts(self, tensor: str) -> Place | None:
        for part in _parts(tensor):
            if part in self._producers:
                return Place(self._producers[part], exact=True)
            if part in self._by_name:
                return Place(self._by_name[part], exact=False)
            if part in self._consumers:
                return Place(self._consumers[part][0], exact=False)
        return None

    def _constant(self, constants: frozenset[str]) -> frozenset[int]:
        known, found = set(constants), set()
        for number, node in enumerate(self.nodes):
            inputs = [tensor for tensor in node.inputs if tensor]
            if all(tensor in known for tensor in inputs):
                found.add(number)
                known.update(node.outputs)
        return frozenset(found)


def _parts(name: str) -> Iterator[str]:
    """The name, and what is left of it without what was added to it."""
    yield name
    bare = _BEFORE.sub("", name)
    for _ in range(_MOST_PARTS):
        if bare != name:
            yield bare
        name, bare = bare, _BEHIND.sub("", bare)
        if bare in ("", name):
            return
