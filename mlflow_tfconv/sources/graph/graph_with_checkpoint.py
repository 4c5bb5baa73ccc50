"""A graph whose variables have their values in a checkpoint."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.graph.graph_file import GraphFile
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.signatures import signatures_of
from mlflow_tfconv.sources.graph.stored_weights import stored_weights


def graph_with_checkpoint(
    path: Path,
    *,
    graph: GraphFile,
    checkpoint: CheckpointReader,
    choices: tuple[Choice, ...] = (),
    warnings: tuple[str, ...] = (),
) -> GraphSource:
    """Finds the value of each variable; a small checkpoint is verified as a whole.

    Raises:
        ConversionError: The checkpoint is damaged.
    """
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
