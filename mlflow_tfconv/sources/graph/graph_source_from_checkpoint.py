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
from mlflow_tfconv.sources.graph.graph_file import GraphFile, graph_file
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.signatures import signatures_of
from mlflow_tfconv.sources.graph.stored_weights import stored_weights
from mlflow_tfconv.sources.options import SourceOptions

_STEP = re.compile(r"-\d+$")

#: Graphs that may lie beside a checkpoint without a .meta, the most telling name first.
_GRAPHS = ("graph.pbtxt", "graph.pb", "*.pbtxt", "*.pb")


def graph_source_from_checkpoint(path: Path, options: SourceOptions) -> GraphSource:
    """Reads the graph and the index of a checkpoint, V1 or V2.

    Args:
        path: The prefix, or any of the checkpoint's files; a .meta file without a checkpoint of
            its name is a graph, whose checkpoint `options.weights` names.
        options: `architecture` names another graph, `weights` another checkpoint.

    Raises:
        ConversionError: A file is missing, cut off or altered; there are weights without a graph,
            or a graph without weights.
    """
    files = checkpoint_files(path)
    if options.weights is not None:
        files = require_checkpoint_files(options.weights)
    if files is None and path.is_file():
        raise _without_weights(path)
    if files is None:
        files = require_checkpoint_files(path)
    graph, choices = _graph(path, files, options.architecture)
    return graph_source(
        path, graph=graph, checkpoint=CheckpointReader(files.prefix), choices=choices
    )


def graph_source(
    path: Path,
    *,
    graph: GraphFile,
    checkpoint: CheckpointReader,
    choices: tuple[Choice, ...] = (),
    warnings: tuple[str, ...] = (),
) -> GraphSource:
    """A graph whose variables have their values in a checkpoint."""
    checkpoint.verify()
    found = stored_weights(graph.graph_def, checkpoint, graph.meta)
    return GraphSource(
        path=path,
        source_format="tf_checkpoint" if checkpoint.files.version == 2 else "tf_checkpoint_v1",
        graph_def=graph.graph_def,
        weights=found.weights,
        conflicts=found.conflicts,
        checkpoint=checkpoint,
        meta=graph.meta,
        signatures=signatures_of(graph.meta),
        choices=choices,
        warnings=(*warnings, *found.warnings),
    )


def _graph(
    path: Path, files: CheckpointFiles, architecture: Path | Callable[[], Any] | None
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
    if path.suffix == ".meta" and path.is_file() and path != files.meta:
        return graph_file(path), ()
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


def _without_weights(path: Path) -> ConversionError:
    return ConversionError(
        f"{path.name} is a graph without weights: no checkpoint {path.stem} lies beside it.",
        received=str(path),
        expected=f"{path.stem}.index with its .data files, or a V1 file {path.stem}",
        fix="Copy it from where the model was saved, or name the checkpoint with weights=.",
    )
