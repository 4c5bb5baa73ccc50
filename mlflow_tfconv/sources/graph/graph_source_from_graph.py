"""A graph in a file of its own: frozen, or with a checkpoint that is named or lies beside it."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_files import require_checkpoint_files
from mlflow_tfconv.sources.checkpoints.checkpoint_folder import (
    FolderCheckpoint,
    checkpoint_of_folder,
    checkpoints_in,
)
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.graph.graph_file import GraphFile, graph_file
from mlflow_tfconv.sources.graph.graph_source import VARIABLE_OPS, GraphSource
from mlflow_tfconv.sources.graph.graph_with_checkpoint import graph_with_checkpoint
from mlflow_tfconv.sources.graph.signatures import signatures_of
from mlflow_tfconv.sources.options import SourceOptions


def graph_source_from_graph(path: Path, options: SourceOptions) -> GraphSource:
    """Reads a GraphDef or MetaGraphDef, binary or text; its weights are constants or a checkpoint.

    Args:
        path: The file.
        options: `weights` names the checkpoint of a graph with variables.

    Raises:
        ConversionError: The file is damaged or holds no graph, or it has variables and there is no
            checkpoint.
    """
    graph = graph_file(path)
    if options.weights is not None:
        files = require_checkpoint_files(options.weights)
        return graph_with_checkpoint(path, graph=graph, checkpoint=CheckpointReader(files.prefix))
    variables = [node.name for node in graph.graph_def.node if node.op in VARIABLE_OPS]
    if variables and checkpoints_in(path.parent):
        return _with_neighbour(path, graph, checkpoint_of_folder(path.parent))
    if variables and graph.meta is not None:
        raise _without_weights(path, variables)
    return GraphSource(
        path=path,
        source_format="graph_text" if graph.is_text else "graph_def",
        graph_def=graph.graph_def,
        meta=graph.meta,
        signatures=signatures_of(graph.meta),
    )


def _with_neighbour(path: Path, graph: GraphFile, beside: FolderCheckpoint) -> GraphSource:
    choice = Choice(
        what="weights",
        chosen=beside.prefix.name,
        alternatives=beside.choices[0].alternatives if beside.choices else (),
        argument="weights",
        reason=f"{path.name} has variables, and this checkpoint lies beside it",
    )
    checkpoint = CheckpointReader(beside.prefix)
    return graph_with_checkpoint(
        path, graph=graph, checkpoint=checkpoint, choices=(choice,), warnings=beside.warnings
    )


def _without_weights(path: Path, variables: list[str]) -> ConversionError:
    return ConversionError(
        f"{path.name} is a graph without weights: its variables have no values, and no checkpoint "
        "lies beside it.",
        received=f"{path} with {len(variables)} variables, such as {', '.join(variables[:4])}",
        expected="a frozen graph, or a graph with its checkpoint",
        fix="Name the checkpoint with weights=, or copy it into this folder.",
    )
