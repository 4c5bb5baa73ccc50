"""What a graph computes from weights alone, as held arrays: computed when the file is written.

TensorFlow's optimizer folds what constants alone decide. Of weights whose values it does not have
it leaves the operations (a transposition, a cast, a normalized kernel); they are run by TensorFlow
later, one result at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.exporters.evaluate_node import can_be_evaluated, evaluated
from mlflow_tfconv.exporters.held_array import HeldArray, held_in_memory, identity_of

#: A larger result than this is not kept instead of smaller inputs; TensorFlow's own limit.
_LARGEST_GROWN_BYTES = 100 * 1024

Array = np.ndarray[Any, Any]
Held = Mapping[str, HeldArray]


def weight_results(graph: tf.Graph, held: Held, outputs: Collection[str]) -> dict[str, HeldArray]:
    """Tensor name to values, of all tensors that weights decide and other operations take.

    Args:
        graph: The graph; each held array is a placeholder of the same name in it.
        held: Name of a placeholder to its values.
        outputs: Names of tensors that stay the results of operations.
    """
    known = _Known(outputs)
    for op in graph.get_operations():
        if op.name in held:
            known.add(op, [held[op.name]])
        elif op.type == "Const":
            known.constants.add(op.name)
        elif known.decides(op):
            known.add(op, known.results(op))
    return {
        tensor.name: known.held[tensor.name]
        for op in known.operations
        for tensor in op.outputs
        if any(not known.has(consumer) for consumer in tensor.consumers())
    }


class _Known:
    """What is known while a graph is walked in the order of computation.

    Attributes:
        held: Tensor name to values.
        constants: Names of constants.
        operations: Operations whose results are held.
    """

    def __init__(self, outputs: Collection[str]) -> None:
        self.held: dict[str, HeldArray] = {}
        self.constants: set[str] = set()
        self.operations: list[Any] = []
        self._names: set[str] = set()
        self._outputs = {name.split(":")[0] for name in outputs}

    def add(self, op: Any, results: list[HeldArray]) -> None:
        """Notes the results of an operation."""
        self.operations.append(op)
        self._names.add(op.name)
        self.held.update(zip((tensor.name for tensor in op.outputs), results, strict=True))

    def has(self, op: Any) -> bool:
        """Whether an operation's results are held."""
        return op.name in self._names

    def decides(self, op: Any) -> bool:
        """Whether weights alone decide the results, and holding them takes no more place."""
        if op.name in self._outputs or not any(i.name in self.held for i in op.inputs):
            return False
        if not all(i.name in self.held or i.op.name in self.constants for i in op.inputs):
            return False
        return _is_foldable(op) and _is_small_enough(op)

    def results(self, op: Any) -> list[HeldArray]:
        """The results of an operation that weights decide."""
        if op.type == "Identity":
            return [self.held[op.inputs[0].name]]
        inputs = [self._input(tensor) for tensor in op.inputs]
        if not all(tensor.shape.is_fully_defined() for tensor in op.outputs):
            return [held_in_memory(array) for array in _computed(op, inputs)]
        identity = identity_of(
            op.type,
            sorted((k, v.SerializeToString()) for k, v in op.node_def.attr.items() if k[0] != "_"),
            [array.identity for array in inputs],
        )
        return [
            HeldArray(
                _result(op, inputs, index),
                tuple(tensor.shape),
                tensor.dtype.as_numpy_dtype,
                identity_of(identity, index),
            )
            for index, tensor in enumerate(op.outputs)
        ]

    def _input(self, tensor: Any) -> HeldArray:
        if tensor.name in self.held:
            return self.held[tensor.name]
        return held_in_memory(tf.make_ndarray(tensor.op.get_attr("value")))


def _is_foldable(op: Any) -> bool:
    # Conversion knows what to do about quantization of weights only as long as it is there.
    if "Quant" in op.type or not can_be_evaluated(op):
        return False
    return all(
        tensor.dtype.is_numpy_compatible and tensor.dtype != tf.string for tensor in op.outputs
    )


def _is_small_enough(op: Any) -> bool:
    taken, given = (
        sum((tensor.shape.num_elements() or 0) * tensor.dtype.size for tensor in tensors)
        for tensors in (op.inputs, op.outputs)
    )
    return bool(given <= max(taken, _LARGEST_GROWN_BYTES))


def _result(op: Any, inputs: list[HeldArray], index: int) -> Callable[[], Array]:
    return lambda: _computed(op, inputs)[index]


def _computed(op: Any, inputs: list[HeldArray]) -> list[Array]:
    return evaluated(op, [array.values() for array in inputs])
