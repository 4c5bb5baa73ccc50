"""A folder that training left: checkpoints, perhaps an Estimator's `model_dir` with exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.saved_model_safety import is_of_tensorflow_2, parsed_saved_model
from mlflow_tfconv.sources.checkpoints.checkpoint_folder import (
    checkpoint_of_folder,
    checkpoints_in,
    step_of,
)
from mlflow_tfconv.sources.checkpoints.checkpoint_state import STATE_FILE
from mlflow_tfconv.sources.graph.exports import chosen_export, is_saved_model
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_source_from_checkpoint import graph_source_from_checkpoint
from mlflow_tfconv.sources.graph.graph_source_from_saved_model import graph_source_from_saved_model
from mlflow_tfconv.sources.options import SourceOptions


def graph_source_from_folder(path: Path, options: SourceOptions) -> GraphSource:
    """Reads what lies in a folder: an export before a checkpoint, the newest of each.

    An export is preferred since it was made for inference: the graph beside checkpoints is the one
    for training. `options.architecture` or `options.weights` ask for the checkpoint.

    Args:
        path: The folder, or the file `checkpoint` in it.
        options: What the user says.

    Raises:
        ConversionError: There is nothing of the kind, there are several models, or files are
            damaged.
    """
    folder = path.parent if path.is_file() and path.name == STATE_FILE else path
    if is_saved_model(folder):
        return graph_source_from_saved_model(folder, options)
    asked = options.architecture is not None or options.weights is not None
    export = None if asked else chosen_export(folder, of_any_name=not checkpoints_in(folder))
    if export is None or is_of_tensorflow_2(parsed_saved_model(export[0])):
        return _of_checkpoints(folder, options)
    source = graph_source_from_saved_model(export[0], options)
    if not checkpoints_in(folder):
        return replace(source, choices=(*export[1], *source.choices))
    choice, warnings = _instead_of_checkpoint(folder, source)
    return replace(
        source,
        choices=(choice, *export[1], *source.choices),
        warnings=(*source.warnings, *warnings),
    )


def _of_checkpoints(folder: Path, options: SourceOptions) -> GraphSource:
    found = checkpoint_of_folder(folder)
    source = graph_source_from_checkpoint(found.prefix, options)
    return replace(
        source,
        choices=(*found.choices, *source.choices),
        warnings=(*found.warnings, *source.warnings),
    )


def _instead_of_checkpoint(folder: Path, export: GraphSource) -> tuple[Choice, tuple[str, ...]]:
    """That the export was taken, and whether it is older than the newest checkpoint."""
    try:
        newest = checkpoint_of_folder(folder).prefix
    except ConversionError:  # several models: the export is still the one that was exported here
        newest = max(checkpoints_in(folder), key=step_of)
    choice = Choice(
        what="model",
        chosen=str(export.path.relative_to(folder)),
        alternatives=(newest.name,),
        argument="source",
        reason="an export was made for inference, the checkpoint's graph for training",
    )
    step = _step_in(export)
    if step is None or step_of(newest) in (-1, step):
        return choice, ()
    return choice, (f"The export is of step {step}, the checkpoint {newest.name} is another.",)


def _step_in(export: GraphSource) -> int | None:
    checkpoint = export.checkpoint
    if checkpoint is None or "global_step" not in checkpoint:
        return None
    return int(checkpoint.read("global_step").reshape(-1)[0])
