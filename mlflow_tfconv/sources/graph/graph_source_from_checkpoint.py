"""A checkpoint of `tf.train.Saver` with its graph."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_files import (
    CheckpointFiles,
    checkpoint_files,
    require_checkpoint_files,
)
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import OBJECT_GRAPH_KEY, CheckpointReader
from mlflow_tfconv.sources.checkpoints.sorted_table import is_table
from mlflow_tfconv.sources.graph.graph_file import GraphFile, graph_file
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_source_from_graph import graph_source_from_graph
from mlflow_tfconv.sources.graph.graph_with_checkpoint import graph_with_checkpoint
from mlflow_tfconv.sources.options import SourceOptions

_STEP = re.compile(r"-\d+$")

#: Graphs that may lie beside a checkpoint without a .meta, the most telling name first.
_GRAPHS = ("graph.pbtxt", "graph.pb", "*.pbtxt", "*.pb")


def graph_source_from_checkpoint(path: Path, options: SourceOptions) -> GraphSource:
    """Reads the graph and the index of a checkpoint, V1 or V2.

    Args:
        path: The prefix, or any of the checkpoint's files; a .meta file without a checkpoint of
            its name is read as a graph.
        options: `architecture` names another graph, `weights` another checkpoint.

    Raises:
        ConversionError: A file is missing, cut off or altered; there are weights without a graph,
            or a graph without weights.
    """
    if _is_only_a_graph(path):
        return graph_source_from_graph(path, options)
    files = require_checkpoint_files(path)
    graph, choices = _graph(files, options.architecture)
    checkpoint = CheckpointReader(options.weights or files.prefix)
    return graph_with_checkpoint(path, graph=graph, checkpoint=checkpoint, choices=choices)


def _is_only_a_graph(path: Path) -> bool:
    """Whether no checkpoint has the file's name, and the file itself is none."""
    if not path.is_file() or is_table(path):
        return False
    files = checkpoint_files(path)
    return files is None or (files.v1_files == (path,) and not files.meta.is_file())


def _graph(
    files: CheckpointFiles, architecture: Path | Callable[[], Any] | None
) -> tuple[GraphFile, tuple[Choice, ...]]:
    """The graph that was named, or that lies beside the checkpoint under its name or another."""
    if callable(architecture):
        raise ConversionError(
            "A function that builds the model is no graph for this checkpoint.",
            received=f"architecture={architecture!r}",
            expected="a .meta file, or a graph as .pb or .pbtxt",
            fix="Name the file of the graph with architecture=.",
        )
    if architecture is not None:
        return graph_file(architecture), ()
    if files.meta.is_file():
        return graph_file(files.meta), ()
    others = _graphs_beside(files)
    if not others:
        raise _without_graph(files)
    choice = Choice(
        what="graph",
        chosen=others[0].name,
        alternatives=tuple(other.name for other in others[1:]),
        argument="architecture",
        reason=f"{files.meta.name} is missing",
    )
    return graph_file(others[0]), (choice,)


def _graphs_beside(files: CheckpointFiles) -> list[Path]:
    """The .meta of other steps of the same model, the newest first; then other graphs."""
    folder, stem = files.prefix.parent, _STEP.sub("", files.prefix.name)
    steps = [meta for meta in folder.glob("*.meta") if _STEP.sub("", meta.stem) == stem]
    steps.sort(key=lambda meta: (len(meta.stem), meta.stem), reverse=True)
    graphs = [found for pattern in _GRAPHS for found in sorted(folder.glob(pattern))]
    names = {"saved_model.pb", "saved_model.pbtxt", "keras_metadata.pb", "fingerprint.pb"}
    return list(dict.fromkeys(one for one in (*steps, *graphs) if one.name not in names))


def _without_graph(files: CheckpointFiles) -> ConversionError:
    reader = CheckpointReader(files.prefix)
    if OBJECT_GRAPH_KEY in reader:
        return ConversionError(
            f"{files.prefix.name} is a checkpoint of TensorFlow 2 objects: it holds weights, and "
            "no graph belongs to it.",
            received=str(files.prefix),
            expected="the architecture: a Keras JSON, or a function that builds the model",
            fix="Give it with architecture=.",
        )
    keys = reader.keys()
    return ConversionError(
        f"{files.meta.name} is missing: these are weights without a graph.",
        received=f"{files.prefix} with {len(keys)} tensors, such as {', '.join(keys[:4])}",
        expected=f"{files.meta.name} or graph.pbtxt in the same folder",
        fix="Copy it from where the model was saved, or name the graph (.meta, .pbtxt or .pb) with "
        "architecture=.",
    )
