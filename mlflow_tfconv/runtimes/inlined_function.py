"""A traced function as one flat graph, whose inner tensors can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from mlflow_tfconv.runtimes.flat_graph import flat_graph
from mlflow_tfconv.runtimes.graph_walk import GraphWalk
from mlflow_tfconv.runtimes.needed_nodes import NeededNodes, needed_nodes
from mlflow_tfconv.runtimes.own_functions import with_own_functions
from mlflow_tfconv.runtimes.shaped_lookups import with_lookups_shaped


class ImportedGraph(NamedTuple):
    """Operations by name, and the graph that they live in."""

    graph: Any
    operations: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InlinedFunction:
    """A function whose calls of other functions are replaced by what these do.

    Loops and branches stay as they are. Tensors are named as in a GraphDef, "dense/Relu:0".

    Attributes:
        graph_def: The graph, with the bodies of loops and branches in its library.
        inputs: Name of an input to its placeholder's tensor.
        outputs: Name of an output to its tensor.
        captures: Placeholder's tensor to what it stands for: a variable's handle, a table, ...
        variables: Placeholder's tensor to the variable, for those captures that are one.
    """

    graph_def: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    captures: Mapping[str, Any]
    variables: Mapping[str, Any]

    def caller(
        self, wanted: Mapping[str, str], fed: Mapping[str, str] | None = None
    ) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """A function of named tensors, to be traced, that gives any tensors of the graph.

        It holds only the nodes that are needed for them.

        Args:
            wanted: Name to tensor of what it gives.
            fed: Name to tensor of what it takes, where the graph is cut; None takes the inputs.
        """
        places = self.inputs if fed is None else fed
        needed = needed_nodes(self.graph_def, wanted.values(), [*places.values(), *self.captures])

        def call(tensors: Mapping[str, Any]) -> dict[str, Any]:
            return self._imported_with(tensors, needed, wanted, places)

        return call

    def _imported_with(
        self,
        tensors: Mapping[str, Any],
        needed: NeededNodes,
        wanted: Mapping[str, str],
        places: Mapping[str, str],
    ) -> dict[str, Any]:
        """Puts the nodes into the graph that is being made."""
        graph = tf.compat.v1.get_default_graph()
        mapped = {places[name]: tensor for name, tensor in tensors.items()}
        for inner, outer in self.captures.items():
            if inner in needed.taken:
                mapped[inner] = graph.capture(outer)
                if inner in self.variables:
                    graph.watch_variable(self.variables[inner])
        used = {inner: outer for inner, outer in mapped.items() if inner in needed.taken}
        missing = [tensor for tensor in wanted.values() if tensor not in mapped]
        graph_def = with_own_functions(needed.graph_def)
        found = tf.graph_util.import_graph_def(graph_def, used, missing, name="")
        mapped |= dict(zip(missing, found, strict=True))
        return {name: tf.identity(mapped[tensor]) for name, tensor in wanted.items()}

    def traced(
        self,
        specs: Mapping[str, Any],
        wanted: Mapping[str, str] | None = None,
        fed: Mapping[str, str] | None = None,
    ) -> Any:
        """The `ConcreteFunction` of one dict, which gives one of the tensors that are wanted.

        Args:
            specs: Input name to its `tf.TensorSpec`; only the inputs that are needed have to be
                there, of another shape where it shall have one.
            wanted: Name to tensor; None takes the outputs.
            fed: As in `caller`.

        Raises:
            ValueError: The graph can't have inputs of these shapes, or needs another input.
        """
        call = self.caller(self.outputs if wanted is None else wanted, fed)
        return graph_function(call).get_concrete_function(dict(specs))

    def imported(self) -> ImportedGraph:
        """The graph with the types and shapes of its tensors."""
        names = [node.name for node in self.graph_def.node]
        shaped = with_own_functions(with_lookups_shaped(self.graph_def))
        taken = GraphWalk(shaped).consumers
        with FuncGraph("shapes").as_default() as graph:
            handles = {t: graph.capture(outer) for t, outer in self.captures.items() if t in taken}
            found = tf.graph_util.import_graph_def(shaped, handles, names, name="")
        return ImportedGraph(graph, dict(zip(names, found, strict=True)))

    def with_values(
        self, read: Callable[[Any], Any], wanted: Iterable[str] | None = None
    ) -> InlinedFunction:
        """The same with variables of its own.

        Args:
            read: Gives a variable's value.
            wanted: The tensors that are to be computed: only what they need is read; None reads
                all.
        """
        graph_def, captures = self.graph_def, self.captures
        used = set(captures) if wanted is None else needed_nodes(graph_def, wanted, captures).taken
        own = {t: tf.Variable(read(v)) for t, v in self.variables.items() if t in used}
        handles = {tensor: variable.handle for tensor, variable in own.items()}
        return replace(self, captures={**captures, **handles}, variables=own)


def graph_function(call: Callable[..., Any]) -> Any:
    """The `tf.function` of what puts a graph together.

    TensorFlow adds no control dependencies to it, which a loop of TensorFlow 1 can't have.
    """
    attributes = {"_disable_acd": True}
    return tf.function(
        call, autograph=False, reduce_retracing=True, experimental_attributes=attributes
    )


def inlined_function(
    function: Any, inputs: Sequence[str], outputs: Sequence[str]
) -> InlinedFunction:
    """The function as one flat graph.

    Args:
        function: A `ConcreteFunction` that takes one dict of tensors and gives one.
        inputs: Names in that dict.
        outputs: Names in the dict that it gives.
    """
    graph = function.graph
    captured = len(function.captured_inputs)
    placeholders = [tensor.name for tensor in function.inputs[: len(function.inputs) - captured]]
    captures = {
        inner.name: outer
        for inner, outer in zip(graph.internal_captures, function.captured_inputs, strict=True)
    }
    variables = {id(variable.handle): variable for variable in graph.variables}
    return InlinedFunction(
        graph_def=flat_graph(function),
        # Flattening a dict sorts its keys.
        inputs=dict(zip(sorted(inputs), placeholders, strict=True)),
        outputs=dict(zip(sorted(outputs), (t.name for t in function.outputs), strict=True)),
        captures=captures,
        variables={
            name: variables[id(outer)] for name, outer in captures.items() if id(outer) in variables
        },
    )
