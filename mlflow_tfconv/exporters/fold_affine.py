"""Makes a scale and an offset of an input part of the weights that it first meets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

from mlflow_tfconv.exporters.preprocessing import Step
from mlflow_tfconv.exporters.retraced import inlined, retraced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.weights import Array, MemoryWeights, StoredWeights, Weights
from mlflow_tfconv.runtimes.graph_walk import GraphWalk
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction

#: Operation to the axis of its weights that goes with the channels of its input.
_AXES = {"Conv2D": 2, "Conv3D": 3, "DepthwiseConv2dNative": 2, "MatMul": 0}
_HANDS_ON = frozenset({"Identity", "StopGradient"})


def fold_affine(traced: Traced, name: str, step: Step) -> tuple[Traced, Step]:
    """The model with other first weights, and what is left to do to the input.

    Nothing is folded where the input goes anywhere else, or its weights are used twice. With zeros
    as padding an offset would be missing at the borders, so it is left: x * scale + offset is
    (x + offset / scale) * scale, of which the weights take the last factor.

    Args:
        traced: The model.
        name: The input.
        step: The scale and the offset.
    """
    graph = inlined(traced)
    first = _first_weights(graph, name)
    if first is None or not _fits(first, step):
        return traced, step
    values = np.asarray(traced.weights.value(first.variable), np.float64)
    scaled = (values * _along(step.scale, first.axis, values.ndim)).astype(np.float32)
    weights, variable = _replaced(traced.weights, first.variable, scaled)
    captures = {**graph.captures, first.capture: variable.handle}
    variables = {**graph.variables, first.capture: variable}
    graph = replace(graph, captures=captures, variables=variables)
    rest = replace(step, scale=np.ones(()), offset=step.offset / step.scale)
    if not first.padded and step.offset.any():
        missing = values * _along(step.offset, first.axis, values.ndim)
        graph = _with_bias(graph, first, _summed(missing, first.node.op))
        rest = replace(rest, offset=np.zeros(()))
    return retraced(traced, traced.inputs, graph=graph, weights=weights), rest


@dataclass(frozen=True, slots=True)
class _First:
    node: Any
    capture: str
    variable: Any
    axis: int
    padded: bool


def _first_weights(graph: InlinedFunction, name: str) -> _First | None:
    """The only operation that takes the input, if it has weights that nothing else uses."""
    walk = GraphWalk(graph.graph_def)
    tensor = graph.inputs[name]
    while True:
        consumers = walk.consumers.get(tensor, [])
        if len(consumers) != 1 or consumers[0][1] != 0:
            return None
        node = consumers[0][0]
        if node.op not in _HANDS_ON:
            break
        tensor = f"{node.name}:0"
    if node.op not in _AXES or _said(node, "data_format") not in (None, b"NHWC", b"NDHWC"):
        return None
    weights = walk.inputs(node)[1]
    while weights not in graph.variables:
        producer = walk.nodes.get(weights.partition(":")[0])
        alone = len(walk.consumers.get(weights, [])) == 1
        if producer is None or not alone or producer.op not in (*_HANDS_ON, "ReadVariableOp"):
            return None
        weights = walk.inputs(producer)[0]
    if len(walk.consumers[weights]) != 1 or _said(node, "transpose_b"):
        return None
    padded = node.op != "MatMul" and _said(node, "padding") != b"VALID"
    variable = graph.variables[weights]
    return _First(node, weights, variable, _AXES[node.op], padded)


def _said(node: Any, name: str) -> Any:
    """An attribute of a node; looking for one that is not there would make it."""
    if name not in node.attr:
        return None
    value = node.attr[name]
    return getattr(value, value.WhichOneof("value"))


def _fits(first: _First, step: Step) -> bool:
    """Whether there is one number for all channels, or one for each; none of them zero."""
    size = first.variable.shape[first.axis]
    shapes = ((), (1,), (size,))
    whole = first.variable.dtype == tf.float32 and first.variable.shape.is_fully_defined()
    return bool(
        whole and step.scale.shape in shapes and step.offset.shape in shapes and step.scale.all()
    )


def _along(values: Array, axis: int, rank: int) -> Array:
    """One number for each channel, along an axis of the weights."""
    if values.ndim == 0 or values.size == 1:
        return values.reshape(())
    return values.reshape([-1 if n == axis else 1 for n in range(rank)])


def _summed(values: Array, op: str) -> Array:
    """What an offset of each channel adds to each channel of the result."""
    if op == "DepthwiseConv2dNative":  # height, width, channels, multiplier: channels don't mix
        return np.asarray(values.sum(axis=(0, 1)).reshape(-1))
    return np.asarray(values.sum(axis=tuple(range(values.ndim - 1))))


def _with_bias(graph: InlinedFunction, first: _First, bias: Array) -> InlinedFunction:
    """Adds numbers to the result of the first operation."""
    changed = type(graph.graph_def)()
    changed.CopyFrom(graph.graph_def)
    result, added = f"{first.node.name}:0", f"{first.node.name}/folded_offset"
    for node in changed.node:
        for place, taken in enumerate(node.input):
            if taken in (result, first.node.name):
                node.input[place] = added
    kind = tf.float32.as_datatype_enum
    constant = changed.node.add(name=f"{added}/value", op="Const")
    constant.attr["dtype"].type = kind
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(bias, tf.float32))
    total = changed.node.add(name=added, op="AddV2", input=[result, constant.name])
    total.attr["T"].type = kind
    outputs = {n: f"{added}:0" if t == result else t for n, t in graph.outputs.items()}
    return replace(graph, graph_def=changed, outputs=outputs)


def _replaced(weights: Weights, old: Any, value: Array) -> tuple[Weights, Any]:
    """A new variable with a value, and weights that know it."""
    if isinstance(weights, StoredWeights):
        new = UninitializedVariable(
            trainable=False, shape=old.shape, dtype=old.dtype, name=old.name.partition(":")[0]
        )
        return StoredWeights({**weights.readers, id(new.handle): lambda: value}), new
    name = old.name.partition(":")[0]
    return MemoryWeights(), tf.Variable(value, trainable=False, name=name)
