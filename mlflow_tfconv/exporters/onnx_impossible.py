"""What ONNX has no counterpart for, whoever converts: strings, tables, files, ragged tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import op_def_registry

from mlflow_tfconv.runtimes.graph_walk import GraphWalk, called_functions
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction

#: Operations on numbers alone that hold on to something outside the graph.
_OUTSIDE = re.compile(
    r"Lookup|HashTable|Iterator|Queue|Ragged(?!Gather|Range|TensorToSparse|TensorToTensor)"
)


#: What has strings in it only to speak to people.
_MESSAGES = frozenset({"Assert", "Const", "Print", "PrintV2", "StringFormat"})


class Possible:
    """Says which nodes and tensors of a graph can be in an ONNX file.

    Attributes:
        tensors: Tensor name to the tensor of an imported graph: its dtype and shape.
    """

    def __init__(self, inlined: InlinedFunction) -> None:
        self._tables = {
            name
            for name, tensor in inlined.captures.items()
            if name not in inlined.variables and tensor.dtype in (tf.resource, tf.variant)
        }
        self._imported = inlined.imported()
        self.tensors: Mapping[str, Any] = {
            f"{name}:{place}": tensor
            for name, operation in self._imported.operations.items()
            for place, tensor in enumerate(operation.outputs)
        }
        self._functions = {f.signature.name: f for f in inlined.graph_def.library.function}

    def node(self, node: Any) -> bool:
        """Whether a node works on numbers only, and on nothing but its inputs."""
        operation = self._imported.operations[node.name]
        touched = (*operation.inputs, *operation.outputs)
        return not (
            any(tensor.dtype == tf.string for tensor in touched)
            or any(tensor in self._tables for tensor in GraphWalk.inputs(node))
            or _OUTSIDE.search(node.op)
            or any(self._impossible(name) for name in called_functions(node))
        )

    def _impossible(self, function: str) -> bool:
        """Whether the body of a loop or a branch works on strings or tables."""
        nodes = [node for node in self._functions[function].node_def if node.op not in _MESSAGES]
        return any(
            _OUTSIDE.search(node.op)
            or _takes_strings(node)
            or any(self._impossible(name) for name in called_functions(node))
            for node in nodes
        )

    def tensor(self, name: str) -> bool:
        """Whether a tensor holds numbers or booleans."""
        return self.tensors[name].dtype not in (tf.string, tf.resource, tf.variant)


def has_impossible(function: Any) -> bool:
    """Whether a `ConcreteFunction` touches strings or tables anywhere: a look that costs little."""
    variables = {id(variable.handle) for variable in function.graph.variables}
    if any(tensor.dtype == tf.string for tensor in (*function.inputs, *function.outputs)):
        return True
    captured = [t for t in function.captured_inputs if id(t) not in variables]
    if any(tensor.dtype in (tf.resource, tf.variant) for tensor in captured):
        return True
    graph_def = function.graph.as_graph_def()
    inner = (f.node_def for f in graph_def.library.function)
    return any(_OUTSIDE.search(node.op) for nodes in (graph_def.node, *inner) for node in nodes)


def _takes_strings(node: Any) -> bool:
    """Whether an operation in the body of a function takes or gives strings."""
    if any(
        a.type == types_pb2.DT_STRING or types_pb2.DT_STRING in a.list.type
        for a in node.attr.values()
    ):
        return True
    definition = op_def_registry.get(node.op)
    arguments = () if definition is None else (*definition.input_arg, *definition.output_arg)
    return any(argument.type == types_pb2.DT_STRING for argument in arguments)
