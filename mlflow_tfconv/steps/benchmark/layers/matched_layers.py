"""Nodes of a variant and of the reference put into groups that do the same work.

Both runtimes fuse nodes of the file, and not the same ones: a Conv with its Relu here is a QLinearConv,
a QuantizeLinear and a Relu there. Each node that runs has a place in the reference's file, and brings
those nodes of it along that were fused into it. What either side computes in one node belongs together,
so the groups are the connected ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlflow_tfconv.steps.benchmark.layers.profiled_model import ProfiledModel
from mlflow_tfconv.steps.benchmark.layers.reference_nodes import Place, ReferenceNodes
from mlflow_tfconv.steps.benchmark.worker.onnx_nodes import GraphNode, NodeGraph

#: Operators that runtimes fuse into the node before them.
_FOLLOWING = frozenset(
    {
        *(
            "Relu",
            "Clip",
            "LeakyRelu",
            "Sigmoid",
            "HardSigmoid",
            "Tanh",
            "Elu",
            "PRelu",
            "Softplus",
        ),
        *("Add", "Mul", "Sub", "Div", "BatchNormalization", "Erf", "HardSwish", "Gelu", "Selu"),
        *("Identity", "Dropout", "QuantizeLinear", "DequantizeLinear", "Cast", "BiasAdd"),
    }
)


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that do the same work.

    Attributes:
        file: Numbers of nodes of the reference's file, in its order.
        reference: Numbers of the nodes that the reference ran.
        variant: Numbers of the nodes that the variant ran.
    """

    file: tuple[int, ...]
    reference: tuple[int, ...]
    variant: tuple[int, ...]


class _Joined:
    """Disjoint sets."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def of(self, number: int) -> int:
        """The number that stands for the set."""
        while self._above[number] != number:
            self._above[number] = self._above[self._above[number]]
            number = self._above[number]
        return number

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        self._above[second] = first


def matched_layers(reference: ProfiledModel, variant: ProfiledModel) -> list[Group]:
    """The groups in the order of the reference's file; what has no place in it is in none."""
    file = reference.file or _by_names(reference.ran)
    nodes = ReferenceNodes(file)
    joined = _Joined(len(nodes.nodes))
    places = [_places(side, nodes) for side in (reference, variant)]
    for found in places:
        _bring_along(nodes, found, joined)
    if reference.file is None:
        _join_scopes(nodes.nodes, joined)
    return _groups(nodes, joined, places)


def _by_names(ran: Sequence[GraphNode]) -> NodeGraph:
    """A graph without edges: all that is known of TensorFlow's."""
    return NodeGraph(tuple(GraphNode(n.name, n.operator, ("",), ()) for n in ran))


def _join_scopes(nodes: Sequence[GraphNode], joined: _Joined) -> None:
    """Operations of a layer of Keras are named `<model>/<layer>/<operation>`."""
    first: dict[str, int] = {}
    for number, node in enumerate(nodes):
        scope = node.name.removesuffix("/ReadVariableOp").rpartition("/")[0]
        joined.join(first.setdefault(scope or node.name, number), number)


def _places(side: ProfiledModel, nodes: ReferenceNodes) -> dict[int, Place]:
    """Number of a node that ran to its place."""
    made_by = {t: node for node in (side.file.nodes if side.file else ()) for t in node.outputs}
    found: dict[int, Place] = {}
    for number, node in enumerate(side.ran):
        place = next(filter(None, (nodes.holding(t, made_by) for t in node.outputs if t)), None)
        place = place or nodes.named(node.name)
        if place is not None:
            found[number] = place
    return {**found, **_places_beside(side.ran, found)}


def _places_beside(ran: Sequence[GraphNode], found: Mapping[int, Place]) -> dict[int, Place]:
    """What only the runtime knows belongs to the node that takes its output, or else makes its input."""
    takers: dict[str, int] = {}
    makers: dict[str, int] = {}
    for number, node in enumerate(ran):
        makers.update((tensor, number) for tensor in node.outputs if tensor)
        for tensor in filter(None, node.inputs):
            takers.setdefault(tensor, number)
    known = dict(found)
    for numbers, neighbours, side in (
        (reversed(range(len(ran))), takers, "outputs"),
        (range(len(ran)), makers, "inputs"),
    ):
        for number in numbers:
            tensors = getattr(ran[number], side)
            beside = (known[neighbours[t]] for t in tensors if neighbours.get(t) in known)
            place = next(beside, None)
            if number not in known and place is not None:
                known[number] = Place(place.node, exact=False)
    return known


def _bring_along(nodes: ReferenceNodes, places: Mapping[int, Place], joined: _Joined) -> None:
    """Joins nodes of the file that did not run by themselves with those that they were fused into."""
    ends = {place.node for place in places.values()}
    loose_ends = {place.node for place in places.values() if not place.exact}
    loose_ends -= {place.node for place in places.values() if place.exact}
    taken = set(ends)
    for end in sorted(ends - loose_ends):
        _take_before(nodes, end, loose_ends, taken, joined)
    for number in range(len(nodes.nodes)):
        if number not in taken and number not in nodes.constant:
            _take_beside(nodes, number, joined)


def _take_before(
    nodes: ReferenceNodes, end: int, loose_ends: Iterable[int], taken: set[int], joined: _Joined
) -> None:
    """All before a node's output that ran nowhere else was fused into it."""
    waiting = nodes.before(end)
    while waiting:
        number = waiting.pop()
        if number in taken or number in nodes.constant or _follows(nodes, number, loose_ends):
            continue
        taken.add(number)
        joined.join(number, end)
        waiting.extend(nodes.before(number))


def _follows(nodes: ReferenceNodes, number: int, loose_ends: Iterable[int]) -> bool:
    """Whether it was rather fused into the node before it, of which only a name is known."""
    before = nodes.before(number)
    return nodes.nodes[number].operator in _FOLLOWING and bool(before) and before[-1] in loose_ends


def _take_beside(nodes: ReferenceNodes, number: int, joined: _Joined) -> None:
    before = [n for n in nodes.before(number) if n not in nodes.constant]
    behind = nodes.behind(number)
    if before and (nodes.nodes[number].operator in _FOLLOWING or not behind):
        joined.join(number, before[-1])
    elif behind:
        joined.join(number, behind[0])


def _groups(
    nodes: ReferenceNodes, joined: _Joined, places: Sequence[Mapping[int, Place]]
) -> list[Group]:
    members: dict[int, tuple[list[int], list[int], list[int]]] = defaultdict(lambda: ([], [], []))
    for number in range(len(nodes.nodes)):
        members[joined.of(number)][0].append(number)
    for side, found in enumerate(places, start=1):
        for number, place in sorted(found.items()):
            members[joined.of(place.node)][side].append(number)
    ordered = sorted(members.items())
    return [Group(*(tuple(part) for part in parts)) for _, parts in ordered if any(parts[1:])]
