"""A model whose weights are stored in half precision, and widened when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.half_onnx import HalfPrecision
from mlflow_tfconv.exporters.retraced import inlined, retraced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.weights import Array, MemoryWeights, StoredWeights, Weights
from mlflow_tfconv.runtimes.graph_walk import GraphWalk
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction

_TYPES: dict[str, tuple[tf.DType, Any]] = {
    "float16": (tf.float16, np.float16),
    "bfloat16": (tf.bfloat16, ml_dtypes.bfloat16),
}
_READS = frozenset({"ReadVariableOp", "ResourceGather"})
#: Vectors stay as they are: they are few bytes, and scales and biases suffer most.
_LEAST_VALUES = 256


def with_half_weights(traced: Traced, precision: HalfPrecision) -> Traced:
    """The model with its matrices and kernels in half precision; it computes as before.

    Raises:
        ConversionError: A weight is too large for float16.
    """
    graph = inlined(traced)
    changed = _changed_captures(graph)
    if not changed:
        return traced
    halves = {t: _Half(graph.variables[t], traced.weights, precision) for t in changed}
    variables = {tensor: half.variable for tensor, half in halves.items()}
    handles = {tensor: variable.handle for tensor, variable in variables.items()}
    graph = replace(
        _widened(graph, set(changed), _TYPES[precision][0]),
        captures={**graph.captures, **handles},
        variables={**graph.variables, **variables},
    )
    weights = _weights(traced.weights, halves)
    return retraced(traced, traced.inputs, graph=graph, weights=weights)


class _Half:
    """A variable in half precision, and how its value is got."""

    def __init__(self, old: Any, weights: Weights, precision: HalfPrecision) -> None:
        kind, numpy_kind = _TYPES[precision]
        name = old.name.partition(":")[0]
        self.read = partial(_narrowed, weights, old, numpy_kind)
        if weights.in_memory:
            self.variable = tf.Variable(self.read(), trainable=False, name=name)
        else:
            self.variable = UninitializedVariable(
                trainable=False, shape=old.shape, dtype=kind, name=name
            )


def _narrowed(weights: Weights, variable: Any, kind: Any) -> Array:
    values = weights.value(variable)
    with np.errstate(over="ignore"):
        narrow = np.asarray(values).astype(kind)
    if not np.isfinite(narrow).all() and np.isfinite(values).all():
        raise ConversionError(
            f"The weight {variable.name} doesn't fit into float16.",
            received=f"a magnitude of {np.abs(values).max():g}",
            expected=f"at most {np.finfo(np.float16).max:g}",
            fix="Choose precision: bfloat16, which has the range of float32.",
        )
    return narrow


def _changed_captures(graph: InlinedFunction) -> list[str]:
    """Large float variables that the graph only reads, and not inside of a loop or branch."""
    walk = GraphWalk(graph.graph_def)
    return [
        tensor
        for tensor, variable in graph.variables.items()
        if variable.dtype == tf.float32
        and (variable.shape.num_elements() or 0) >= _LEAST_VALUES
        and all(node.op in _READS for node, _ in walk.consumers.get(tensor, ()))
    ]


def _widened(graph: InlinedFunction, changed: set[str], kind: tf.DType) -> InlinedFunction:
    """The graph with a Cast behind each read of a changed variable."""
    graph_def = type(graph.graph_def)()
    graph_def.CopyFrom(graph.graph_def)
    reads = [
        node.name
        for node in graph_def.node
        if node.op in _READS and GraphWalk.inputs(node)[0] in changed
    ]
    casts = {f"{name}:0": f"{name}/widened" for name in reads}
    for node in graph_def.node:
        if node.name in reads:
            node.attr["dtype"].type = kind.as_datatype_enum
        for place, taken in enumerate(node.input):
            node.input[place] = casts.get(taken if ":" in taken else f"{taken}:0", taken)
    for tensor, name in casts.items():
        cast = graph_def.node.add(name=name, op="Cast", input=[tensor])
        cast.attr["SrcT"].type = kind.as_datatype_enum
        cast.attr["DstT"].type = tf.float32.as_datatype_enum
    outputs = {
        name: f"{casts[tensor]}:0" if tensor in casts else tensor
        for name, tensor in graph.outputs.items()
    }
    return replace(graph, graph_def=graph_def, outputs=outputs)


def _weights(old: Weights, halves: Mapping[str, _Half]) -> Weights:
    if not isinstance(old, StoredWeights):
        return MemoryWeights()
    return StoredWeights(
        {**old.readers, **{id(half.variable.handle): half.read for half in halves.values()}}
    )
