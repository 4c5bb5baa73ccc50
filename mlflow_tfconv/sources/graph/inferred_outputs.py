"""Outputs of a graph whose files name none.

They are what inference computes and nothing in inference consumes. In a training graph a loss and
metrics consume them, so the way back from these is walked: through logarithms, clips and means, to
the prediction that they judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlflow_tfconv.sources.graph.averaging_updates import variable_of
from mlflow_tfconv.sources.graph.contexts import Contexts, contexts
from mlflow_tfconv.sources.graph.data_sets import DataSets
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.node_names import in_loss, is_chosen, says_logits
from mlflow_tfconv.sources.graph.op_kinds import (
    PLACEHOLDERS,
    SAMPLERS,
    is_effect,
    is_gradient,
    is_update,
)
from mlflow_tfconv.sources.graph.tensor_types import Shape, type_of

_LOSSES = frozenset(
    {
        *("CTCLoss", "CTCLossV2", "InTopK", "InTopKV2", "L2Loss", "SoftmaxCrossEntropyWithLogits"),
        *("SparseSoftmaxCrossEntropyWithLogits", "Skipgram", "ComputeAccidentalHits"),
    }
)
#: Prepare a prediction for a loss or a metric, unless weights take part.
_PREPARING = frozenset(
    [
        "Abs",
        "Add",
        "AddN",
        "AddV2",
        "All",
        "Any",
        "ArgMax",
        "ArgMin",
        "BroadcastTo",
        "Cast",
        "ClipByValue",
        "ConcatV2",
        "Cumsum",
        "Div",
        "DivNoNan",
        "Equal",
        "Exp",
        "ExpandDims",
        "Expm1",
        "Fill",
        "Floor",
        "Greater",
        "GreaterEqual",
        "Identity",
        "Less",
        "LessEqual",
        "Log",
        "Log1p",
        "LogicalAnd",
        "LogicalNot",
        "LogicalOr",
        "Max",
        "Maximum",
        "Mean",
        "Min",
        "Minimum",
        "Mul",
        "Neg",
        "NotEqual",
        "OneHot",
        "OnesLike",
        "Pack",
        "Pow",
        "Prod",
        "RealDiv",
        "Reciprocal",
        "Reshape",
        "Round",
        "Rsqrt",
        "Select",
        "SelectV2",
        "Shape",
        "Sign",
        "Size",
        "Slice",
        "Softplus",
        "Sqrt",
        "Square",
        "SquaredDifference",
        "Squeeze",
        "StridedSlice",
        "Sub",
        "Sum",
        "Tile",
        "TopK",
        "TopKV2",
        "Transpose",
        "Xlogy",
        "Xdivy",
        "ZerosLike",
    ]
)
#: Ends of loops and branches; nobody asked for them.
_LEFT_OVER = frozenset(
    [
        "Enter",
        "Exit",
        "LoopCond",
        "Merge",
        "NextIteration",
        "Switch",
        "TensorArrayV3",
        "TensorArraySizeV3",
        "TensorArrayCloseV3",
        "TensorArrayScatterV3",
        "TensorArrayWriteV3",
        "TensorArraySplitV3",
        "TensorArrayGradV3",
    ]
)
#: Make predictions of scores, and tell less than these or the same in another form.
_ACTIVATIONS = frozenset({"LogSoftmax", "Sigmoid", "Softmax"})
_SAME_ROWS = frozenset({"Identity", "Reshape", "Squeeze", "Transpose", "Cast", "ExpandDims"})
_DECISIONS = frozenset({"ArgMax", "ArgMin", "Greater", "GreaterEqual", "Round", "TopK", "TopKV2"})


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was found.

    Attributes:
        chosen: The outputs, in the order of the graph.
        others: Tensors that could be outputs too: named ones inside the inference part.
        labels: Sources that only losses and metrics need.
    """

    chosen: tuple[Ref, ...]
    others: tuple[Ref, ...]
    labels: tuple[Ref, ...]


def inferred_outputs(graph: Graph, data: DataSets, shapes: dict[Ref, Shape]) -> Outputs:
    """The outputs of a graph with its flags set.

    Args:
        graph: The graph.
        data: What its tensors depend on.
        shapes: Their shapes.
    """
    return _Search(graph, data, shapes).outputs()


class _Search:
    def __init__(self, graph: Graph, data: DataSets, shapes: dict[Ref, Shape]) -> None:
        self.graph, self.data, self.shapes = graph, data, shapes
        self.forward = _forward(graph, data)
        self.layers: set[str] = set()
        features = 0
        for node, bits in data.layers(graph.part(self.forward)):
            self.layers.add(node.name)
            features |= bits
        everything = (1 << len(data.sources)) - 1
        self.labels = everything & ~features if features else 0
        self.contexts: Contexts = contexts(graph)
        self.inner = {name for name in self.forward if self._is_inference(graph[name])}
        self.gone: set[str] = set()
        updates = [node.name for node in graph if is_update(node.op)]
        self.updating = graph.ancestors(updates) if updates else set()

    def outputs(self) -> Outputs:
        self._drop_effects()
        kept = self._walked_back()
        weighted = [name for name in kept if name in self.data.weights]
        found = [Ref(name) for name in weighted or kept]
        found = self._with_ports(self._with_scores([*self._generated(found), *found]))
        labels = [s for place, s in enumerate(self.data.sources) if self.labels >> place & 1]
        return Outputs(tuple(found), self._others(found), tuple(labels))

    def _generated(self, found: list[Ref]) -> list[Ref]:
        """What takes the place of an example before weights that examples meet elsewhere.

        So a generator's result goes into the discriminator that judges examples.
        """
        weights: dict[tuple[str, str], list[Ref]] = {}
        for name in self.layers & self.inner - self.gone:
            node = self.graph[name]
            arrays = [item for item in node.inputs if item.node in self.data.arrays]
            values = [item for item in node.inputs if self.data.has_data(item)]
            if len(arrays) == len(values) == 1:
                variable = variable_of(self.graph, arrays[0]) or arrays[0].node
                weights.setdefault((node.op, variable), []).append(values[0])
        kept = {item.node for item in found}
        return [
            value
            for values in weights.values()
            for value in dict.fromkeys(values)
            if value.node in self.data.weights
            and value.node not in kept
            and any(self._is_example(other, value) for other in values)
        ]

    def _is_example(self, other: Ref, value: Ref) -> bool:
        """Whether no weight made it, and nothing that made the value."""
        alone = not self.data.of(other) & self.data.of(value)
        return other.node not in self.data.weights and alone

    def _is_inference(self, node: Node) -> bool:
        bits = self.data.data.get(node.name, 0)
        return bool(bits) and not bits & self.labels and node.op not in _LOSSES

    def _following(self, name: str) -> list[str]:
        """Consumers that inference still has."""
        return [n for n in self.graph.consumers[name] if n in self.inner and n not in self.gone]

    def _drop_effects(self) -> None:
        """Takes away what is computed only to be shown, stored or averaged."""
        for name in reversed(self.graph.order):
            consumers = self.graph.consumers[name]
            if name not in self.inner or not consumers or self._is_scalar(name):
                continue
            unused = all(is_effect(self.graph[n].op) or n in self.gone for n in consumers)
            if unused and not self._is_shown(name, consumers):
                self.gone.add(name)

    def _is_shown(self, name: str, consumers: list[str]) -> bool:
        """Whether it is a prediction with a name of its own that only summaries show."""
        node = self.graph[name]
        if not is_chosen(node) or in_loss(name) or name not in self.data.weights:
            return False
        return not any(is_update(self.graph[n].op) or n in self.updating for n in consumers)

    def _walked_back(self) -> list[str]:
        """Nodes at which the way back from what nobody needs ends."""
        kept: dict[str, None] = {}
        for name in reversed(self.graph.order):
            if name not in self.inner or name in self.gone or self._following(name):
                continue
            if self._is_output(self.graph[name]):
                kept[name] = None
            else:
                self.gone.add(name)
        place = {name: number for number, name in enumerate(self.graph.nodes)}
        return sorted(kept, key=place.__getitem__)

    def _is_output(self, node: Node) -> bool:
        name = node.name
        if node.op in PLACEHOLDERS or self.contexts.is_inside(name):
            return False
        if self._is_scalar(name) or (in_loss(name) and name not in self.layers):
            return False
        if not any(consumer in self.forward for consumer in self.graph.consumers[name]):
            return node.op not in _LEFT_OVER and not self._is_end_of_loop(node)
        if is_chosen(node) or name in self.layers:
            return True
        return node.op not in _PREPARING

    def _is_end_of_loop(self, node: Node) -> bool:
        """Whether it hands on a result of a loop or call that nobody asked for."""
        if node.op != "Identity" or is_chosen(node):
            return False
        return self.graph[node.inputs[0].node].op in (
            "While",
            "StatelessWhile",
            "If",
            "StatelessIf",
        )

    def _is_scalar(self, name: str) -> bool:
        return self.shapes.get(Ref(name)) == () and type_of(self.graph, Ref(name)) != 7

    def _with_scores(self, found: list[Ref]) -> list[Ref]:
        """The outputs, with the scores that they are made of where these tell more."""
        more: list[Ref] = []
        activated = {self._scores(item) for item in found if self._has(item, _ACTIVATIONS)}
        for item in found:
            scores = self._scores(item)
            if scores is None or scores in found or self.contexts.is_inside(scores.node):
                continue
            named = says_logits(self.graph[scores.node])
            lost = self._has(item, _DECISIONS) and scores not in activated
            if (named or lost) and scores.node in self.data.weights:
                more.append(scores)
        place = {name: number for number, name in enumerate(self.graph.nodes)}
        return sorted({*found, *more}, key=lambda item: place[item.node])

    def _scores(self, output: Ref) -> Ref | None:
        """What an activation or decision at the end of the graph was made of."""
        node, changed = self.graph[output.node], False
        current = output
        while node.op in _SAME_ROWS or (
            not changed and node.op in _ACTIVATIONS | _DECISIONS and node.inputs
        ):
            if changed and says_logits(node):
                break
            changed |= node.op in _ACTIVATIONS | _DECISIONS
            current = node.inputs[0]
            node = self.graph[current.node]
        return current if changed else None

    def _has(self, output: Ref, ops: frozenset[str]) -> bool:
        node = self.graph[output.node]
        while node.op in _SAME_ROWS and node.op not in ops:
            node = self.graph[node.inputs[0].node]
        return node.op in ops

    def _with_ports(self, found: Iterable[Ref]) -> list[Ref]:
        """All parts of a node that splits what it is given."""
        result: list[Ref] = []
        for item in found:
            node = self.graph[item.node]
            several = node.op in ("Split", "SplitV", "TopK", "TopKV2", "Unpack", "IdentityN")
            ports = [p for p in self.shapes if p.node == item.node] if several else []
            result.extend(sorted(ports) or [item])
        return result

    def _others(self, found: list[Ref]) -> tuple[Ref, ...]:
        inside = self.graph.ancestors(item.node for item in found)
        chosen = {item.node for item in found}
        return tuple(
            Ref(node.name)
            for node in self.graph
            if node.name in inside & self.inner & self.data.weights
            and node.name not in chosen
            and (is_chosen(node) or says_logits(node))
            and not self.contexts.is_inside(node.name)
        )


def _forward(graph: Graph, data: DataSets) -> set[str]:
    """Nodes that neither are gradients, effects or sampled losses nor are computed from such.

    A loop takes lists that gradients keep values in; as long as they are empty, they are none.
    """
    left_out: set[str] = set()
    for name in graph.order:
        node = graph[name]
        if (
            is_gradient(name)
            or is_effect(node.op)
            or node.op in SAMPLERS
            or any(_is_left_out(data, item, left_out) for item in node.inputs)
        ):
            left_out.add(name)
    return set(graph.nodes) - left_out


def _is_left_out(data: DataSets, item: Ref, left_out: set[str]) -> bool:
    if item.node not in left_out:
        return False
    return data.has_data(item) or not is_gradient(item.node)
