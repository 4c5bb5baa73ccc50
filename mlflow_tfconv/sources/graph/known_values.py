"""What can be known of a graph's tensors without running it, given the values of some.

Constants are computed; of what is drawn at random, the range or the odds are followed. So it shows
that a `Switch` has a dead branch, or that a dropout's mask is all ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.op_kinds import RANDOM, UNIFORM

Array = np.ndarray[Any, Any]
#: Larger constants decide nothing; they are data or weights.
_MOST_VALUES = 64


@dataclass(frozen=True, slots=True)
class Known:
    """A value; `everywhere` when all elements have it and the shape is not known."""

    value: Array
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Uniform:
    """Drawn uniformly from [low, high)."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Coin:
    """Each element is `heads` with a probability, else `tails`."""

    probability: float
    heads: float
    tails: float


@dataclass(frozen=True, slots=True)
class Noise:
    """Random in another way."""


Value = Known | Uniform | Coin | Noise | None


@dataclass(slots=True)
class Evaluation:
    """What is known.

    Attributes:
        values: Of tensors.
        dead: Tensors that are never computed: results of branches that are not taken.
        taken: Name of a `Merge` to the only input that arrives.
        branches: Name of an `If` to whether its condition holds.
    """

    values: dict[Ref, Value] = field(default_factory=dict)
    dead: set[Ref] = field(default_factory=set)
    dead_nodes: set[str] = field(default_factory=set)
    taken: dict[str, Ref] = field(default_factory=dict)
    branches: dict[str, bool] = field(default_factory=dict)

    def is_dead(self, tensor: Ref) -> bool:
        """Whether it is never computed."""
        return tensor.node in self.dead_nodes or tensor in self.dead

    def constant(self, tensor: Ref) -> Array | None:
        """Its value, when it is known as a whole."""
        value = self.values.get(tensor)
        return value.value if isinstance(value, Known) and not value.everywhere else None


def known_values(graph: Graph, given: Mapping[Ref, Array]) -> Evaluation:
    """Follows all values from the graph's constants and the given ones.

    Args:
        graph: The graph.
        given: Values of some tensors, taken for granted.
    """
    found = Evaluation()
    for name in graph.order:
        node = graph[name]
        tensor = Ref(name)
        if tensor in given:
            found.values[tensor] = Known(given[tensor])
        elif node.op == "Merge":
            _merge(node, found)
        elif any(found.is_dead(item) for item in node.inputs) or any(
            control in found.dead_nodes for control in node.controls
        ):
            found.dead_nodes.add(name)
        elif node.op == "Switch":
            _switch(node, found)
        else:
            if node.op in ("If", "StatelessIf"):
                _branch(node, found)
            value = _value(node, found)
            if value is not None:
                found.values[tensor] = value
    return found


def _merge(node: Node, found: Evaluation) -> None:
    live = [item for item in node.inputs if not found.is_dead(item)]
    if not live:
        found.dead_nodes.add(node.name)
    elif len(live) == 1 and len(node.inputs) > 1:
        found.taken[node.name] = live[0]
        value = found.values.get(live[0])
        if value is not None:
            found.values[Ref(node.name)] = value


def _switch(node: Node, found: Evaluation) -> None:
    value = found.values.get(node.inputs[0])
    predicate = found.constant(node.inputs[1])
    if predicate is not None and predicate.size == 1:
        found.dead.add(Ref(node.name, 0 if bool(predicate.reshape(())) else 1))
    if value is not None:
        found.values[Ref(node.name, 0)] = found.values[Ref(node.name, 1)] = value


def _branch(node: Node, found: Evaluation) -> None:
    predicate = found.constant(node.inputs[0])
    if predicate is not None and predicate.size == 1:
        found.branches[node.name] = bool(predicate.reshape(()))


def _value(node: Node, found: Evaluation) -> Value:
    if node.op == "Const":
        return _constant(node)
    if node.op in UNIFORM:
        return Uniform(0.0, 1.0)
    if node.op in RANDOM:
        return Noise()
    inputs = [found.values.get(item) for item in node.inputs]
    if node.op in _SHORTCUTS:
        decided = _shortcut(node.op, inputs)
        if decided is not None:
            return decided
    if not inputs or any(value is None for value in inputs):
        return _partly(node, inputs)
    if all(isinstance(value, Known) for value in inputs):
        return _computed(node, [value for value in inputs if isinstance(value, Known)])
    return _random(node, inputs)


def _constant(node: Node) -> Value:
    message = node.attr["value"].tensor
    count = int(np.prod([dim.size for dim in message.tensor_shape.dim]))
    if not 0 < count <= _MOST_VALUES or message.dtype == tf.string.as_datatype_enum:
        return None
    return Known(tf.make_ndarray(message))


_SHORTCUTS = {"LogicalAnd": False, "LogicalOr": True}


def _shortcut(op: str, inputs: list[Value]) -> Value:
    """False and x, True or x."""
    for value in inputs:
        if isinstance(value, Known) and bool(np.all(value.value == _SHORTCUTS[op])):
            return value
    return None


_SAME = frozenset({"Identity", "Enter", "Exit", "EnsureShape"})
#: Change the shape, not the values; with an unknown shape they tell nothing new.
_RESHAPES = frozenset({"Reshape", "Squeeze", "ExpandDims", "BroadcastTo", "Tile"})


def _partly(node: Node, inputs: list[Value]) -> Value:
    """When only the first input is known: what reshapes it by something unknown."""
    if not inputs or inputs[0] is None:
        return None
    if node.op in _RESHAPES:
        first = inputs[0]
        if isinstance(first, Known) and first.value.size == 1:
            return Known(first.value.reshape(()), everywhere=True)
        return None if isinstance(first, Known) else first
    return None


def _computed(node: Node, inputs: list[Known]) -> Value:
    operation = _OPERATIONS.get(node.op)
    values = [value.value for value in inputs]
    if node.op in _SAME:
        return inputs[0]
    if operation is None:
        return _shaped(node, inputs)
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(operation(*values))
    except (TypeError, ValueError):
        return None
    kind = node.attr.get("DstT") or None
    if kind is not None:
        result = result.astype(tf.dtypes.as_dtype(kind.type).as_numpy_dtype)
    if result.size > _MOST_VALUES:
        return None
    return Known(result, any(value.everywhere for value in inputs))


def _shaped(node: Node, inputs: list[Known]) -> Value:
    if node.op not in _RESHAPES:
        return None
    if inputs[0].everywhere or node.op != "Reshape":
        single = inputs[0].value.size == 1
        return Known(inputs[0].value.reshape(()), inputs[0].everywhere) if single else None
    try:
        return Known(inputs[0].value.reshape(inputs[1].value.astype(int)))
    except (TypeError, ValueError):
        return None


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "AddV2": np.add,
    "All": lambda x, _: np.all(x),
    "Any": lambda x, _: np.any(x),
    "Cast": np.asarray,
    "Div": np.true_divide,
    "Equal": np.equal,
    "Floor": np.floor,
    "FloorDiv": np.floor_divide,
    "FloorMod": np.mod,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "LogicalAnd": np.logical_and,
    "LogicalNot": np.logical_not,
    "LogicalOr": np.logical_or,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "NotEqual": np.not_equal,
    "Pow": np.power,
    "RealDiv": np.true_divide,
    "Reciprocal": lambda x: 1 / x,
    "Round": np.round,
    "Select": np.where,
    "SelectV2": np.where,
    "Sub": np.subtract,
}


def _random(node: Node, inputs: list[Value]) -> Value:
    """What becomes of something random and something known."""
    if any(isinstance(value, Noise) for value in inputs):
        return Noise()
    if len(inputs) == 1 or node.op in _SAME:
        return _of_one(node.op, inputs[0])
    numbers = [_number(value) for value in inputs]
    if len(inputs) != 2 or numbers.count(None) != 1:
        return Noise()
    left_is_random = numbers[0] is None
    number = numbers[1] if left_is_random else numbers[0]
    value = inputs[0] if left_is_random else inputs[1]
    return _of_two(node.op, value, float(number or 0.0), left_is_random)


def _number(value: Value) -> float | None:
    if isinstance(value, Known) and (value.everywhere or value.value.size == 1):
        return float(value.value.reshape(-1)[0])
    return None


def _of_one(op: str, value: Value) -> Value:
    if isinstance(value, Coin):
        if op in _SAME or op == "Cast" or op in _RESHAPES:
            return value
        if op == "LogicalNot":
            return Coin(1 - value.probability, value.heads, value.tails)
        return Noise()
    if not isinstance(value, Uniform):
        return Noise()
    if op in _SAME or op in _RESHAPES:
        return value
    return _floor(value) if op == "Floor" else Noise()


def _floor(value: Uniform) -> Value:
    """Of [k, k + 1): 1 with the probability k, else 0."""
    low, width = float(np.floor(value.low)), value.high - value.low
    if not 0 < width <= 1 + 1e-6:
        return Noise()
    if value.high <= low + 1:
        return Known(np.asarray(low), everywhere=True)
    return _coin((value.high - low - 1) / width, low + 1, low)


def _coin(probability: float, heads: float, tails: float) -> Value:
    if probability >= 1 - 1e-7:
        return Known(np.asarray(heads), everywhere=True)
    if probability <= 1e-7:
        return Known(np.asarray(tails), everywhere=True)
    return Coin(probability, heads, tails)


def _of_two(op: str, value: Value, number: float, left_is_random: bool) -> Value:
    if isinstance(value, Coin):
        return _coin_and_number(op, value, number, left_is_random)
    if not isinstance(value, Uniform):
        return Noise()
    if op in ("Add", "AddV2"):
        return Uniform(value.low + number, value.high + number)
    if op == "Sub" and left_is_random:
        return Uniform(value.low - number, value.high - number)
    if op == "Mul" and number > 0:
        return Uniform(value.low * number, value.high * number)
    if op in ("GreaterEqual", "Greater", "Less", "LessEqual"):
        return _compared(op, value, number, left_is_random)
    return Noise()


def _compared(op: str, value: Uniform, number: float, left_is_random: bool) -> Value:
    below = min(max((number - value.low) / (value.high - value.low), 0.0), 1.0)
    wants_below = op.startswith("Less") == left_is_random
    probability = below if wants_below else 1 - below
    result = _coin(probability, 1.0, 0.0)
    if isinstance(result, Known):
        return Known(result.value.astype(bool), everywhere=True)
    return result


def _coin_and_number(op: str, value: Coin, number: float, left_is_random: bool) -> Value:
    if op == "Mul":
        return Coin(value.probability, value.heads * number, value.tails * number)
    if op in ("RealDiv", "Div") and left_is_random and number:
        return Coin(value.probability, value.heads / number, value.tails / number)
    if op in ("Add", "AddV2"):
        return Coin(value.probability, value.heads + number, value.tails + number)
    return Noise()
