"""The inner tensors of a TensorFlow function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.runtimes.graph_walk import GraphWalk, node_name
from mlflow_tfconv.runtimes.inlined_function import (
    InlinedFunction,
    graph_function,
    inlined_function,
)
from mlflow_tfconv.runtimes.inner_values import Array, Batch, InnerValues, short_name

#: Where a loop or a branch of TensorFlow 1 begins, and where it ends.
_BEGINS, _ENDS = (
    frozenset({"Enter", "Switch", "RefSwitch", "RefEnter"}),
    frozenset({"Exit", "Merge"}),
)


class FunctionInnerValues(InnerValues):
    """The tensors of a function whose calls of other functions were put into it."""

    def __init__(self, inlined: InlinedFunction) -> None:
        self._inlined = inlined
        self._walk = GraphWalk(inlined.graph_def)
        self._own: dict[str, str] = {}
        conditional = self._conditional()
        operations = inlined.imported().operations
        for name in self._walk.order(inlined.outputs.values()):
            if name in conditional or self._walk.nodes[name].op in ("Const", "Placeholder"):
                continue
            for place, tensor in enumerate(operations[name].outputs):
                if tensor.dtype.is_numpy_compatible and tensor.dtype != tf.string:
                    self._own.setdefault(short_name(f"{name}:{place}"), f"{name}:{place}")
        self.order = list(self._own)
        self.outputs = {n: short_name(self._computed(t)) for n, t in inlined.outputs.items()}

    def before(self, tensor: str) -> Iterable[str]:
        """What the operation takes that gives it."""
        node = self._walk.nodes.get(node_name(self._own.get(tensor, tensor)))
        return [] if node is None else [short_name(name) for name in self._walk.inputs(node)]

    def values(self, batch: Batch, tensors: Sequence[str]) -> dict[str, Array]:
        """Traces a function that gives them, and runs it."""
        call = self._inlined.caller({tensor: self._own[tensor] for tensor in tensors})
        fed = {name: tf.convert_to_tensor(value) for name, value in batch.items()}
        found = graph_function(call)(fed)
        return {name: value.numpy() for name, value in found.items()}

    def _computed(self, tensor: str) -> str:
        """The tensor that an output only hands on."""
        while self._walk.nodes[node_name(tensor)].op == "Identity":
            before = self._walk.inputs(self._walk.nodes[node_name(tensor)])[0]
            if short_name(before) not in self._own:
                break
            tensor = before
        return tensor

    def _conditional(self) -> set[str]:
        """Nodes in loops and branches of TensorFlow 1: their tensors may have no value at all."""
        found: set[str] = set()
        starts = [n for n in self._walk.nodes.values() if n.op in _BEGINS]
        queue = list(starts)
        for node in queue:
            if node.name in found or node.op in _ENDS:
                continue
            found.add(node.name)
            queue.extend(
                follower
                for tensor in self._walk.outputs(node)
                for follower, _ in self._walk.consumers.get(tensor, ())
            )
        return found


def inner_values_of_call(
    call: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> FunctionInnerValues:
    """Those of any function of named tensors; it is traced here."""
    specs = {spec.name: tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in inputs}
    function = tf.function(call, autograph=False).get_concrete_function(specs)
    return FunctionInnerValues(
        inlined_function(function, [s.name for s in inputs], [s.name for s in outputs])
    )
