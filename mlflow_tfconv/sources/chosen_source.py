"""Which model a path stands for, and who has to read it, when a folder or options decide it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.known_formats import Recognised
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.sources.archive_models import split_archive_path
from mlflow_tfconv.sources.checkpoints.checkpoint_folder import checkpoint_of_folder
from mlflow_tfconv.sources.graph.exports import chosen_export
from mlflow_tfconv.sources.options import SourceOptions
from mlflow_tfconv.sources.siblings import ARCHITECTURES, WEIGHTS, completed

#: Weights that go with an architecture, and whose reader reads both.
_READ_BOTH = ("object_checkpoint", "darknet_weights")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenSource:
    """A model, and the format whose reader it needs.

    Attributes:
        format: A key of `FORMATS`.
        path: The file, folder or prefix.
        choices: What else there is at the path that was named.
        warnings: What is wrong with it.
        options: What the user says, and the other half of the model when it lies beside this one.
    """

    format: str
    path: Path
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()
    options: SourceOptions = field(default_factory=SourceOptions)


def chosen_source(path: Path, options: SourceOptions) -> ChosenSource:
    """The model that a path stands for.

    An architecture is read by whoever reads its weights; of a folder of exports the newest is
    taken, and of a folder of checkpoints of objects too.

    Raises:
        ConversionError: There is nothing there that is known, or nothing tells what is meant.
    """
    chosen = _of_path(path)
    if chosen.format not in (*ARCHITECTURES, *WEIGHTS):
        return replace(chosen, options=options)
    options, choices = completed(Recognised(format=chosen.format, path=chosen.path), options)
    kind = chosen.format
    if kind in ARCHITECTURES and options.weights is not None:
        weights = recognised(options.weights).format
        kind = weights if weights in _READ_BOTH else kind
    return replace(chosen, format=kind, choices=(*chosen.choices, *choices), options=options)


def _of_path(path: Path) -> ChosenSource:
    if split_archive_path(path)[1] is not None:
        return ChosenSource(format="archive", path=path)
    found = recognised(path)
    if found.format == "exports_folder":
        export = chosen_export(found.path)
        if export is not None:
            return ChosenSource(format=found.format, path=export[0], choices=export[1])
    if found.format == "tf_checkpoint_folder":
        return _of_checkpoints(found.path)
    return ChosenSource(format=found.format, path=found.path)


def _of_checkpoints(folder: Path) -> ChosenSource:
    """Checkpoints of objects are read one by one; the graph's reader knows what to do with others."""
    try:
        newest = checkpoint_of_folder(folder)
        kind = recognised(newest.prefix).format
    except ConversionError:
        kind = ""
    if kind != "object_checkpoint":
        return ChosenSource(format="tf_checkpoint_folder", path=folder)
    return ChosenSource(
        format=kind, path=newest.prefix, choices=newest.choices, warnings=newest.warnings
    )
