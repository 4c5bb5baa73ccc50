"""Runs the original part of a TensorFlow 1 graph, with the values of its checkpoint."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.graph_safety import refuse_unsafe_nodes
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.sources.graph.graph_def_of_today import graph_def_of_today
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.inference_graph import InferenceGraph
from mlflow_tfconv.sources.graph.kept_controls import inference_part
from mlflow_tfconv.sources.graph.op_kinds import PIPELINES, RANDOM, VARIABLES
from mlflow_tfconv.sources.graph.plain_graph import cut, placeholder
from mlflow_tfconv.sources.graph.table_nodes import filling_nodes, with_assets
from mlflow_tfconv.sources.graph.tensor_types import message_of_shape, type_of

Array = np.ndarray[Any, Any]


class GraphRuntime(Runtime):
    """A session with the graph as its file has it, cut at the inputs and fed what inference means.

    A graph that was built for training can't show what inference is: of such a one it runs what it
    was rewritten to.

    Attributes:
        is_original: Whether it runs the file's own nodes.
    """

    def __init__(
        self,
        source: GraphSource,
        inference: InferenceGraph,
        *,
        device: Device = Device(),
        trust: bool = False,
    ) -> None:
        """Imports the graph and gives its variables their values.

        Raises:
            ConversionError: TensorFlow can't run it, or it would do more than compute.
        """
        self._placement = apply_to_tensorflow(device)
        self.path: Path = source.path
        self.inputs: tuple[TensorSpec, ...] = inference.inputs
        self.outputs: tuple[TensorSpec, ...] = inference.outputs
        self._rows = inference.rows
        original = None if inference.rewritten else _original(source, inference)
        self.is_original = original is not None
        graph, self._fed, self._fetched = original or (
            with_assets(inference.graph, source),
            dict(inference.fed),
            dict(inference.fetched),
        )
        if not self.is_original:
            self._rows = None
        fillers = filling_nodes(with_assets(Graph.of(source.graph_def), source), graph)
        graph = graph.replaced({node.name: node for node in fillers})
        known = _flag_values(inference) if self.is_original else {}
        self._constant = {item: value for item, value in known.items() if item.node in graph}
        self._open(source, graph, trust)

    def _open(self, source: GraphSource, graph: Graph, trust: bool) -> None:
        graph_def = graph_def_of_today(graph.message(), source.meta)
        if not trust:
            refuse_unsafe_nodes(
                graph_def, where=source.path, assets=[name.split(":")[0] for name in source.assets]
            )
        with tf.Graph().as_default() as imported, tf.device(self._placement):
            try:
                tf.import_graph_def(graph_def, name="")
            except (ValueError, tf.errors.OpError) as error:
                raise ConversionError(
                    "TensorFlow can't read this graph.",
                    received=f"{source.path}: {str(error).splitlines()[0]}",
                    fix="Cut the graph with inputs= and outputs= so that this is not needed.",
                ) from error
            config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
            self._session = tf.compat.v1.Session(graph=imported, config=config)
        for node in graph:
            if node.op in VARIABLES:
                self._assign(imported, node, source)
            elif node.op.startswith(("InitializeTable", "LookupTableImport")):
                self._session.run(imported.get_operation_by_name(node.name))

    def _assign(self, imported: Any, node: Node, source: GraphSource) -> None:
        with imported.as_default():
            tensor = imported.get_tensor_by_name(f"{node.name}:0")
            fed = tf.compat.v1.placeholder(node.attr["dtype"].type)
            if node.op == "VarHandleOp":
                update = tf.raw_ops.AssignVariableOp(resource=tensor, value=fed)
            else:
                update = tf.compat.v1.assign(tensor, fed, validate_shape=False).op
        flag = self._constant.pop(Ref(node.name), None)
        value = flag if flag is not None else source.weights[node.name].read()
        self._session.run(update, {fed: value})

    def predict(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Output name to array."""
        if self._rows is None:
            return self._run(batch)
        count = max(len(batch[spec.name]) for spec in self.inputs)
        parts = [
            self._run({name: _rows(array, start, self._rows) for name, array in batch.items()})
            for start in range(0, count, self._rows)
        ]
        return {
            name: np.concatenate([part[name] for part in parts])[:count] for name in self._fetched
        }

    def _run(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        feeds = {str(item): batch[name] for name, item in self._fed.items()}
        feeds |= {str(item): value for item, value in self._constant.items()}
        wanted = {name: str(item) for name, item in self._fetched.items()}
        found: dict[str, Array] = self._session.run(wanted, feeds)
        return {name: np.asarray(value) for name, value in found.items()}

    def close(self) -> None:
        """Gives the variables' memory back."""
        self._session.close()
        del self._session
        gc.collect()


def _rows(array: Array, start: int, size: int) -> Array:
    """So many rows; the last one is repeated where there are fewer."""
    part = array[start : start + size]
    missing = size - len(part)
    return np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


def _flag_values(inference: InferenceGraph) -> dict[Ref, Array]:
    """Tensors that are fed, and variables that are set, to the values of inference."""
    values: dict[Ref, Array] = {}
    for flag in inference.flags:
        if flag.kind == "variable":
            values[Ref(flag.name)] = flag.value
        else:
            values.update(dict.fromkeys(flag.tensors, flag.value))
    return values


def _original(
    source: GraphSource, inference: InferenceGraph
) -> tuple[Graph, dict[str, Ref], dict[str, Ref]] | None:
    """The file's own nodes, cut at the inputs; None when they can't be run or are for training."""
    graph = with_assets(Graph.of(source.graph_def), source)
    fed: dict[str, Ref] = {}
    shapes = {spec.name: spec.shape for spec in inference.inputs}
    tensors = [*inference.cut_at.values(), *inference.wanted.values()]
    if any(tensor.node not in graph for tensor in tensors):
        return None  # it is inside a function that was put into the graph
    for name, tensor in inference.cut_at.items():
        kind = type_of(graph, tensor) or 1
        unknown = inference.unknown_rank(name)
        shape = message_of_shape(None if unknown else shapes[name])
        new = graph.free_name(f"{tensor.node}/fed_{tensor.port}")
        graph = cut(graph, tensor, placeholder(new, kind, shape))
        fed[name] = Ref(new)
    fetched = {name: _after_cut(inference, fed, item) for name, item in inference.wanted.items()}
    part = inference_part(graph, [item.node for item in fetched.values()])
    flags = {flag.name for flag in inference.flags}
    unknown_values = [
        node.name
        for node in part
        if node.op in PIPELINES
        or (node.op in VARIABLES and node.name not in source.weights and node.name not in flags)
    ]
    constants = any(flag.kind == "constant" for flag in inference.flags)
    random = any(node.op in RANDOM for node in part) and not inference.flags
    if unknown_values or constants or random:
        return None
    return part, fed, fetched


def _after_cut(inference: InferenceGraph, fed: Mapping[str, Ref], item: Ref) -> Ref:
    """A tensor that is both input and output is what is fed."""
    return next((fed[name] for name, tensor in inference.cut_at.items() if tensor == item), item)
