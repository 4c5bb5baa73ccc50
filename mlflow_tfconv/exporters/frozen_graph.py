"""Freezes a traced function without putting its weights into the graph.

TensorFlow's own freezing replaces variables by constants, through loops, conditions and calls. It
gets ghosts of the large ones here: a shape, a type, and no values. In the frozen graph each of them
is a variable that is read, which TensorFlow's optimizer leaves alone, and a held array beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import convert_to_constants

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.held_array import HeldArray, held_in_memory, identity_of
from mlflow_tfconv.exporters.inlined_graph import inlined_graph
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.unseen_changes import changes_a_variable, without_unseen_changes

#: Of what is smaller, the values are constants of the graph, which the optimizer may compute with.
LARGE_BYTES = 16 * 1024
#: So are vectors, such as what normalizes, and whole numbers, such as shapes, up to this size.
_LARGE_VECTOR_BYTES = 2**20
_HANDLE_SUFFIX = "/held_handle"

Array = np.ndarray[Any, Any]
GraphDef = Any  # tf.compat.v1.GraphDef


class NotLeanError(Exception):
    """Raised when a function can't be converted without its weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenGraph:
    """A function without variables.

    Attributes:
        graph_def: Its graph; each held array is the result of a node of the same name.
        held: Name of a node to the values that it stands for.
        inputs: Tensor names, in the order in which TensorFlow flattens what the function takes.
        outputs: Tensor names, in the order in which TensorFlow flattens what it gives.
    """

    graph_def: GraphDef
    held: Mapping[str, HeldArray] = field(default_factory=dict)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def frozen_graph_from_traced(traced: Traced, *, large_bytes: int = LARGE_BYTES) -> FrozenGraph:
    """Freezes the function; large values are held, everything else is in the graph.

    Args:
        traced: The model.
        large_bytes: From how many bytes on the values of an array are held.

    Raises:
        NotLeanError: The function captures something that can't be frozen without its values.
        ConversionError: It changes its variables.
    """
    function = traced.function
    freezing = _Freezing(traced, large_bytes)
    graph_def, _ = convert_to_constants._replace_variables_by_constants(freezing)
    held = dict(freezing.held)
    for node in graph_def.node:
        if node.op == "Const" and node.name not in held:
            held.update(_held_constant(node, large_bytes))
    count = len(function.inputs) - len(function.captured_inputs)
    return FrozenGraph(
        graph_def=with_variables(graph_def, held),
        held=held,
        inputs=tuple(tensor.name for tensor in function.inputs[:count]),
        outputs=tuple(tensor.name for tensor in function.outputs),
    )


def is_large(shape: tuple[int, ...], dtype: tf.DType, large_bytes: int) -> bool:
    """Whether the values of such an array are better not put into a graph."""
    if not dtype.is_numpy_compatible or dtype == tf.string:
        return False
    size_bytes = math.prod(shape) * dtype.size
    if size_bytes < large_bytes:
        return False
    matrix = len(shape) >= 2 and (dtype.is_floating or dtype.is_complex)
    return bool(matrix) or size_bytes >= _LARGE_VECTOR_BYTES


@dataclass(frozen=True, slots=True)
class _Ghost:
    """What freezing takes for an array; as a constant it is one zero, repeated."""

    shape: tuple[int, ...]
    dtype: Any

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.zeros((), dtype or self.dtype)


class _Freezing(convert_to_constants._ConverterData):  # type: ignore[misc]
    """What TensorFlow's freezing has to know of a function.

    Attributes:
        held: Name of a capture's placeholder to its values.
    """

    def __init__(self, traced: Traced, large_bytes: int) -> None:
        self._traced = traced
        self._large_bytes = large_bytes
        self.held: dict[str, HeldArray] = {}
        outputs = [tensor.name for tensor in traced.function.outputs]
        super().__init__(without_unseen_changes(inlined_graph(traced.function), outputs))
        self._build_tensor_data()

    def _build_tensor_data(self) -> None:
        if any(node.op in ("Variable", "VariableV2") for node in self.node_defs.values()):
            raise NotLeanError("it has variables of TensorFlow 1 in its graph")
        _refuse_changes(self.graph_def)
        function = self._traced.function
        variables = {id(variable.handle): variable for variable in function.graph.variables}
        for index, (outer, inner) in enumerate(function.graph.captures):
            variable = variables.get(id(outer))
            if variable is None and outer.dtype in (tf.resource, tf.variant):
                continue  # a table: who converts the graph says so
            name = inner.op.name
            value = self._value(name, outer) if variable is None else self._of(name, variable)
            self._tensor_data[name] = convert_to_constants._TensorData(
                numpy=value,
                dtype=tf.as_dtype(value.dtype).as_datatype_enum,
                index=index,
            )

    def _of(self, name: str, variable: Any) -> Any:
        shape, dtype = variable.shape, variable.dtype.base_dtype

        def value() -> Array:
            with context.eager_mode():  # whoever needs it may be building a graph
                return self._traced.weights.value(variable)

        if not shape.is_fully_defined() or not is_large(tuple(shape), dtype, self._large_bytes):
            return value()
        held = HeldArray(
            value,
            tuple(shape),
            dtype.as_numpy_dtype,
            # A variable that is captured twice, by two functions, is one.
            identity_of("variable", self._number(variable)),
        )
        return self._ghost(name, held)

    def _value(self, name: str, tensor: Any) -> Any:
        values = np.asarray(tensor)
        if not is_large(values.shape, tensor.dtype, self._large_bytes):
            return values
        return self._ghost(name, held_in_memory(values))

    def _ghost(self, name: str, held: HeldArray) -> _Ghost:
        self.held[name] = held
        return _Ghost(held.shape, held.dtype)

    def _number(self, variable: Any) -> int:
        captured = self._traced.function.captured_inputs
        return next(n for n, tensor in enumerate(captured) if tensor is variable.handle)


def _refuse_changes(graph_def: GraphDef) -> None:
    """Raises when the graph gives variables other values: an ONNX model keeps nothing.

    Raises:
        ConversionError: It does.
    """
    bodies = (function.node_def for function in graph_def.library.function)
    changes = [
        f"{node.name} ({node.op})"
        for node in chain(graph_def.node, *bodies)
        if changes_a_variable(node)
    ]
    if changes:
        raise ConversionError(
            "The model changes its own variables when it runs, which an ONNX model can't.",
            received=", ".join(changes[:10]),
            expected="a model without a state, in inference mode",
            fix="Make the state an input and an output (a stateful RNN with stateful=False), or "
            "export the SavedModel only (formats: [saved_model]).",
        )


def _held_constant(node: Any, large_bytes: int) -> dict[str, HeldArray]:
    tensor = node.attr["value"].tensor
    dtype = tf.as_dtype(tensor.dtype)
    if not is_large(tuple(dim.size for dim in tensor.tensor_shape.dim), dtype, large_bytes):
        return {}
    return {node.name: held_in_memory(tf.make_ndarray(tensor))}


def with_variables(graph_def: GraphDef, held: Mapping[str, HeldArray]) -> GraphDef:
    """The graph with a variable and its reading for each held array; changed in place.

    TensorFlow's optimizer would compute with a constant, and makes up values for a placeholder of
    known shape: both take the memory that is to be saved.
    """
    handles = []
    for node in graph_def.node:
        if node.name in held:
            _become(node, "ReadVariableOp", dtype=node.attr["dtype"].type)
            node.input.append(node.name + _HANDLE_SUFFIX)
            handles.append(node)
    for node in handles:
        handle = graph_def.node.add(name=node.name + _HANDLE_SUFFIX, op="VarHandleOp")
        handle.attr["dtype"].type = node.attr["dtype"].type
        handle.attr["shape"].shape.CopyFrom(tf.TensorShape(held[node.name].shape).as_proto())
        handle.attr["shared_name"].s = node.name.encode()
    return graph_def


def with_placeholders(graph_def: GraphDef, held: Mapping[str, HeldArray]) -> GraphDef:
    """The graph with a placeholder for each held array that is still used; changed in place."""
    handles = {name + _HANDLE_SUFFIX for name in held}
    for node in graph_def.node:
        if node.name in held:
            _become(node, "Placeholder", dtype=node.attr["dtype"].type)
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(held[node.name].shape).as_proto())
        elif any(name.removeprefix("^") in handles for name in node.input):
            node.input[:] = [name for name in node.input if name.removeprefix("^") not in handles]
    for index in reversed(range(len(graph_def.node))):
        if graph_def.node[index].name in handles:
            del graph_def.node[index]
    return graph_def


def _become(node: Any, op: str, *, dtype: int) -> None:
    node.op = op
    del node.input[:]
    node.attr.clear()
    node.attr["dtype"].type = dtype
