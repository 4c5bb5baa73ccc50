"""Computes one operation of a graph, with TensorFlow, from the values of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context, execute

Array = np.ndarray[Any, Any]

#: Operations of loops and conditions as TensorFlow 1 writes them, and what stands for an input.
_FRAMES = frozenset(
    {
        "Enter",
        "Exit",
        "LoopCond",
        "Merge",
        "NextIteration",
        "Placeholder",
        "PlaceholderWithDefault",
        "RefEnter",
        "RefExit",
        "RefMerge",
        "RefNextIteration",
        "RefSwitch",
        "Switch",
    }
)


def can_be_evaluated(op: tf.Operation) -> bool:
    """Whether an operation gives the same whenever it gets the same.

    False too for one that calls functions, or moves the frames of a loop.
    """
    if op.op_def.is_stateful or op.type in _FRAMES:
        return False
    return not any(value.HasField("func") or value.list.func for value in op.node_def.attr.values())


def evaluated(op: tf.Operation, inputs: Sequence[Array]) -> list[Array]:
    """The results of an operation, computed now and on the CPU.

    What TensorFlow's generated Python functions do; their arguments have other names than those of
    the operation, so that they can't be called from a graph.

    Args:
        op: The operation, one that `can_be_evaluated`.
        inputs: Values of its inputs.
    """
    with context.eager_mode(), tf.device("/CPU:0"):
        results = execute.execute(
            op.type,
            num_outputs=len(op.outputs),
            inputs=[tf.convert_to_tensor(value) for value in inputs],
            attrs=tuple(_attributes(op)),
            ctx=context.context(),
        )
    return [np.asarray(result) for result in results]


def _attributes(op: tf.Operation) -> Iterator[Any]:
    """Names and values in turn."""
    for attribute in op.op_def.attr:
        value = op.get_attr(attribute.name)
        yield attribute.name
        if isinstance(value, list):
            yield [_number(part) for part in value]
        else:
            yield _number(value)


def _number(value: Any) -> Any:
    return value.as_datatype_enum if isinstance(value, tf.DType) else value
