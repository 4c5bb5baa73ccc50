"""Makes a function of a TensorFlow 1 graph and its stored weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.exporters.quiet_tensorflow import quiet_tensorflow
from mlflow_tfconv.exporters.tables_of_graph import tables_of_graph
from mlflow_tfconv.exporters.trace_function import trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.weights import MemoryWeights, StoredWeights
from mlflow_tfconv.runtimes.graph_safety import refuse_unsafe_nodes
from mlflow_tfconv.sources.graph.graph_def_of_today import graph_def_of_today
from mlflow_tfconv.sources.graph.graph_runtime import GraphRuntime
from mlflow_tfconv.sources.graph.graph_source import (
    GraphSource,
    StoredWeight,
    require_weights,
)
from mlflow_tfconv.sources.graph.graph_view import Graph, Node
from mlflow_tfconv.sources.graph.inference_graph import InferenceGraph, inference_graph
from mlflow_tfconv.sources.graph.initial_values import with_initial_values
from mlflow_tfconv.sources.graph.not_finite import not_finite_weights
from mlflow_tfconv.sources.graph.plain_graph import placeholder
from mlflow_tfconv.sources.graph.stored_averages import chosen_weights
from mlflow_tfconv.sources.graph.table_nodes import with_assets
from mlflow_tfconv.sources.graph.tensor_types import message_of_shape
from mlflow_tfconv.sources.options import SourceOptions

Array = np.ndarray[Any, Any]

#: Constants of a frozen graph from this size on are weights.
_LARGE_BYTES = 16_384


def traced_from_graph_source(
    source: GraphSource, options: SourceOptions, *, device: Device
) -> Traced:
    """Cuts inference out of a graph and traces it; its weights stay in their files.

    Raises:
        ConversionError: The inputs or outputs can't be told, variables have no values, or what the
            outputs depend on can't be converted.
    """
    inference = inference_graph(source, options)
    whole = Graph.of(source.graph_def)
    weights = chosen_weights(source, whole, inference.variables, options.use_ema)
    source, about_local = with_initial_values(weights.source, whole, inference.variables)
    require_weights(source, inference.variables)
    with quiet_tensorflow(), tf.device(apply_to_tensorflow(device)):
        made = _made(source, inference, trust=options.trust)
    rewritten = _about_reference(inference)
    return Traced(
        function=made.function,
        module=made.module,
        inputs=inference.inputs,
        outputs=_outputs(inference, made.function),
        open_reference=lambda: GraphRuntime(source, inference, device=device, trust=options.trust),
        weights=made.weights,
        parameters=made.parameters,
        source_format=source.source_format,
        choices=(*source.choices, *inference.choices, *weights.choices),
        warnings=(
            *source.warnings,
            *inference.warnings,
            *rewritten,
            *about_local,
            *not_finite_weights(source, inference.variables),
        ),
    )


def _outputs(inference: InferenceGraph, function: Any) -> tuple[TensorSpec, ...]:
    """The outputs, with ranks that only the traced function tells, such as behind a table."""
    found = function.structured_outputs
    return tuple(
        replace(spec, shape=tuple(found[spec.name].shape.as_list()))
        if spec.shape == (None,) and found[spec.name].shape.rank is not None
        else spec
        for spec in inference.outputs
    )


def _about_reference(inference: InferenceGraph) -> tuple[str, ...]:
    if not inference.rewritten:
        return ()
    return (
        "Outputs are compared with those of the rewritten graph: the original computes those of "
        "training.",
    )


@dataclass(frozen=True, slots=True)
class _Made:
    function: Any
    module: Any
    weights: StoredWeights | MemoryWeights
    parameters: int


def _made(source: GraphSource, inference: InferenceGraph, *, trust: bool) -> _Made:
    graph, constants = _without_large_constants(with_assets(inference.graph, source))
    stored = {name: source.weights[name] for name in inference.variables} | constants
    tables = tables_of_graph(graph, source)
    graph = _with_placeholders(graph, stored, tables)
    graph_def = graph_def_of_today(graph.message(), source.meta)
    if not trust:
        refuse_unsafe_nodes(graph_def, where=source.path)
    variables = {name: _variable(name, weight) for name, weight in stored.items()}
    imported = _Imported(graph_def, variables, tables, graph, inference)
    function = trace_function(
        imported.call, inference.inputs, unknown_rank=inference.open_rank, effects=False
    )
    module = tf.Module()
    module.weights = list(variables.values())
    if tables:
        module.tables = list(tables.values())
    readers = {id(variables[name].handle): weight.read for name, weight in stored.items()}
    return _Made(
        function,
        module,
        StoredWeights(readers) if readers else MemoryWeights(),
        sum(math.prod(w.shape) for w in stored.values() if tf.as_dtype(w.dtype).is_floating),
    )


def _without_large_constants(graph: Graph) -> tuple[Graph, dict[str, StoredWeight]]:
    """Weights that a frozen graph holds as constants, as if they were stored."""
    found: dict[str, StoredWeight] = {}
    for node in graph:
        if node.op != "Const":
            continue
        message = node.attr["value"].tensor
        dtype = tf.as_dtype(message.dtype)
        shape = tuple(int(dim.size) for dim in message.tensor_shape.dim)
        if dtype.is_floating and math.prod(shape) * dtype.size >= _LARGE_BYTES:
            found[node.name] = StoredWeight(
                key=node.name, dtype=dtype.name, shape=shape, read=partial(tf.make_ndarray, message)
            )
    return graph, found


def _with_placeholders(
    graph: Graph, stored: Mapping[str, StoredWeight], tables: Mapping[str, Any]
) -> Graph:
    """The graph with what is fed in place of variables, constants and tables."""
    resource = int(tf.resource.as_datatype_enum)
    changes: dict[str, Node | None] = {
        name: placeholder(name, resource, message_of_shape(())) for name in tables
    }
    for name, weight in stored.items():
        if graph[name].op == "VarHandleOp":
            changes[name] = placeholder(name, resource, message_of_shape(()))
        else:
            kind = int(tf.as_dtype(weight.dtype).as_datatype_enum)
            changes[name] = placeholder(name, kind, message_of_shape(weight.shape))
    return graph.replaced(changes)


def _variable(name: str, weight: StoredWeight) -> Any:
    return UninitializedVariable(
        trainable=False, shape=weight.shape, dtype=tf.as_dtype(weight.dtype), name=name
    )


@dataclass(frozen=True, slots=True)
class _Imported:
    """A graph as a function of named tensors."""

    graph_def: Any
    variables: Mapping[str, Any]
    tables: Mapping[str, Any]
    graph: Graph
    inference: InferenceGraph

    def call(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        fed = {str(item): tensors[name] for name, item in self.inference.fed.items()}
        for name, variable in self.variables.items():
            resource = self.graph[name].attr["dtype"].type == tf.resource.as_datatype_enum
            fed[f"{name}:0"] = _captured(variable) if resource else variable.read_value()
        captured = tf.compat.v1.get_default_graph().capture
        fed |= {f"{name}:0": captured(table.resource_handle) for name, table in self.tables.items()}
        fetched = [str(item) for item in self.inference.fetched.values()]
        results = tf.graph_util.import_graph_def(
            self.graph_def, input_map=fed, return_elements=fetched, name=""
        )
        return dict(zip(self.inference.fetched, results, strict=True))


def _captured(variable: Any) -> Any:
    """A variable's handle, as a tensor of the function that is being traced."""
    graph = tf.compat.v1.get_default_graph()
    graph.watch_variable(variable)  # or the function would not know whose handle it is
    return graph.capture(variable.handle)
