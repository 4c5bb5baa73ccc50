"""Where a graph leaves strings, tables and files behind, so that ONNX can take over from there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.exporters.onnx_impossible import Possible
from mlflow_tfconv.exporters.vertex_cut import vertex_cut
from mlflow_tfconv.runtimes.graph_walk import GraphWalk, node_name
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction

#: Stands for the weights among what a tensor depends on; no input is called so.
_WEIGHTS = "\0weights"
_SMALL_CONSTANT = 64
#: Operations that give the values of a ragged or sparse tensor apart from their places.
_RAGGED = re.compile(r"Ragged|Sparse|Split|Tokenize|NGrams|UnicodeDecode|Unique|Where")


@dataclass(frozen=True, slots=True)
class Frontier:
    """A cut through a graph.

    Attributes:
        tensors: The tensors that the rest is computed from, beside inputs that are numbers.
        constants: Those of what ONNX can't compute that no input has a part in.
        sizes: Tensors that hold the shape of strings, and the tensor of the frontier that has as
            many examples.
        inputs: Names of the inputs that the rest needs.
        later: Tensors behind a single one of the frontier where the cut could be as well.
        impossible: Kinds of operations that ONNX can't have and that are cut off.
        computes: Whether anything is left to compute behind the frontier.
    """

    tensors: tuple[str, ...]
    constants: tuple[str, ...]
    sizes: Mapping[str, str]
    inputs: tuple[str, ...]
    later: tuple[str, ...]
    impossible: tuple[str, ...]
    computes: bool


#: Operations that only hand on what they get, in another form.
_HANDS_ON = frozenset(
    {"Cast", "Const", "ExpandDims", "Identity", "Pack", "Placeholder", "Reshape", "Squeeze"}
)


def onnx_frontier(inlined: InlinedFunction, possible: Possible, wanted: Iterable[str]) -> Frontier:
    """The first tensors behind what ONNX can't have from which the wanted ones can be computed.

    What is the parts of one thing is cut where it is narrowest: the words of a text become one
    matrix of numbers only after several operations on ragged tensors. That is looked for among what
    depends on the same inputs and on no weights.

    Args:
        inlined: The graph.
        possible: Says what ONNX can have.
        wanted: The tensors that shall be outputs, all of them numbers.
    """
    return _Search(inlined, possible, list(wanted)).frontier()


class _Search:
    def __init__(self, inlined: InlinedFunction, possible: Possible, wanted: list[str]) -> None:
        self._walk = GraphWalk(inlined.graph_def)
        self._inlined, self._wanted = inlined, wanted
        self._all = self._walk.order(wanted)
        self._tensors = possible.tensors
        self._bad = self._impossible(possible)
        self._needs = self._dependencies()

    def frontier(self) -> Frontier:
        raw = self._first(())
        moving = [tensor for tensor in raw if self._needs[node_name(tensor)]]
        sized = [tensor for tensor in moving if self._is_size(tensor)]
        solid = [tensor for tensor in moving if tensor not in sized]
        cut = self._narrowed(solid)
        sizes = self._sizes(sized, cut)
        cut += [tensor for tensor in sized if tensor not in sizes]
        constants = [tensor for tensor in raw if tensor not in moving]
        if self._leak([*cut, *constants, *sizes]):
            cut, sizes = moving, {}
        rest = self._rest([*cut, *constants, *sizes])
        return Frontier(
            tensors=tuple(cut),
            constants=tuple(constants),
            sizes=sizes,
            inputs=tuple(n for n, t in self._inlined.inputs.items() if node_name(t) in rest),
            later=self._later(cut),
            impossible=tuple(self._kinds()),
            computes=any(self._walk.nodes[name].op not in _HANDS_ON for name in rest),
        )

    def _impossible(self, possible: Possible) -> set[str]:
        """Also what takes a list of tensors, or something else that is no tensor, from such."""
        bad: set[str] = set()
        for name in self._all:
            node = self._walk.nodes[name]
            held = (t for t in self._walk.inputs(node) if not possible.tensor(t))
            if not possible.node(node) or any(node_name(tensor) in bad for tensor in held):
                bad.add(name)
        return bad

    def _dependencies(self) -> dict[str, frozenset[str]]:
        """Node to the inputs that have a part in it, and `_WEIGHTS`."""
        own = {node_name(tensor): name for name, tensor in self._inlined.inputs.items()}
        weights = {node_name(tensor) for tensor in self._inlined.variables}
        found: dict[str, frozenset[str]] = {}
        for _ in range(2):  # once more for what comes back to the head of a loop
            for name in self._all:
                node = self._walk.nodes[name]
                first = {own[name]} if name in own else set[str]()
                if name in weights or _is_weight(node):
                    first = {_WEIGHTS}
                before = (found.get(node_name(t), frozenset()) for t in self._walk.inputs(node))
                found[name] = frozenset(first).union(*before)
        return found

    def _first(self, cut: Collection[str]) -> list[str]:
        """The tensors of what ONNX can't have that the rest takes at once."""
        found: dict[str, None] = {}

        def stop(tensor: str) -> bool:
            if tensor not in cut and node_name(tensor) in self._bad:
                found[tensor] = None
            return tensor in cut or node_name(tensor) in self._bad

        self._walk.order(self._wanted, stop)
        return list(found)

    def _leak(self, cut: Collection[str]) -> bool:
        return bool(self._first(cut))

    def _rest(self, cut: Collection[str]) -> set[str]:
        return set(self._walk.order(self._wanted, lambda tensor: tensor in cut))

    def _narrowed(self, raw: Sequence[str]) -> list[str]:
        groups: dict[frozenset[str], list[str]] = {}
        for tensor in raw:
            groups.setdefault(self._needs[node_name(tensor)], []).append(tensor)
        cut: list[str] = []
        for needs, group in groups.items():
            kinds = {self._walk.nodes[node_name(tensor)].op for tensor in group}
            if _WEIGHTS in needs or not any(map(_RAGGED.search, kinds)):
                cut += group
                continue
            edges, ends = self._region(group, needs)
            narrow = vertex_cut(edges, group, ends)
            cut += [tensor for tensor in edges if tensor in narrow]
        return cut

    def _region(
        self, group: Iterable[str], needs: frozenset[str]
    ) -> tuple[dict[str, list[str]], set[str]]:
        """Tensors that depend on the same inputs only, with what follows each, and the last."""
        live = set(self._all)
        edges: dict[str, list[str]] = {}
        ends = set[str]()
        queue = list(dict.fromkeys(group))
        for tensor in queue:
            edges[tensor] = []
            if tensor in self._wanted:
                ends.add(tensor)
            for node, _ in self._walk.consumers.get(tensor, ()):
                if node.name not in live or node.name in self._bad:
                    continue
                if not self._needs[node.name] <= needs:
                    ends.add(tensor)
                    continue
                edges[tensor] += self._walk.outputs(node)
            queue += [t for t in dict.fromkeys(edges[tensor]) if t not in queue]
        return edges, ends

    def _later(self, cut: Sequence[str]) -> tuple[str, ...]:
        """Tensors that alone could stand for the only one of the frontier."""
        if len(cut) != 1:
            return ()
        edges, ends = self._region(cut, self._needs[node_name(cut[0])])
        behind = [tensor for tensor in edges if tensor not in cut]
        return tuple(t for t in behind if not self._passes(edges, cut[0], ends, without=t))

    @staticmethod
    def _passes(
        edges: Mapping[str, Sequence[str]], start: str, ends: Collection[str], without: str
    ) -> bool:
        queue = [start]
        for tensor in queue:
            if tensor in ends:
                return True
            queue += [t for t in edges.get(tensor, ()) if t != without and t not in queue]
        return False

    def _kinds(self) -> dict[str, None]:
        bad = (self._walk.nodes[name].op for name in self._all if name in self._bad)
        return dict.fromkeys(op for op in bad if op not in _HANDS_ON)

    def _is_size(self, tensor: str) -> bool:
        return bool(self._walk.nodes[node_name(tensor)].op == "Shape")

    def _sizes(self, sized: Iterable[str], cut: Sequence[str]) -> dict[str, str]:
        """For shapes of lists of strings: the tensor of the frontier that has as many examples."""
        found: dict[str, str] = {}
        for tensor in sized:
            needs = self._needs[node_name(tensor)]
            rows = [t for t in cut if needs <= self._needs[node_name(t)] and self._is_batch(t)]
            if rows and self._tensors[tensor].shape.as_list() == [1]:
                found[tensor] = rows[0]
        return found

    def _is_batch(self, tensor: str) -> bool:
        shape = self._tensors[tensor].shape
        return bool(shape.rank and shape[0] is None)


def _is_weight(node: Any) -> bool:
    if node.op != "Const":
        return False
    value = node.attr["value"].tensor
    count = 1
    for dimension in value.tensor_shape.dim:
        count *= dimension.size
    return count > _SMALL_CONSTANT and node.attr["dtype"].type in (1, 2, 14, 19)  # floats
