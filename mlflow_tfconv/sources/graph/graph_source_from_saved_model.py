"""One MetaGraph of a SavedModel of TensorFlow 1, with its variables; nothing of it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.saved_model_safety import parsed_saved_model
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.graph.exports import chosen_export, is_saved_model
from mlflow_tfconv.sources.graph.graph_source import VARIABLE_OPS, GraphSource
from mlflow_tfconv.sources.graph.saved_model_assets import assets_of, init_ops_of
from mlflow_tfconv.sources.graph.signatures import signatures_of
from mlflow_tfconv.sources.graph.stored_weights import StoredWeights, stored_weights
from mlflow_tfconv.sources.options import SourceOptions


def graph_source_from_saved_model(path: Path, options: SourceOptions) -> GraphSource:
    """Reads the MetaGraph that `options.tags` choose.

    Args:
        path: The SavedModel's folder or its saved_model.pb, or a folder of exports, of which the
            newest is taken.
        options: `tags` choose the MetaGraph.

    Raises:
        ConversionError: The folder holds none, a file of it is missing or damaged, or the tags fit
            no MetaGraph, or several.
    """
    folder, choices = _folder(path)
    meta, choice = _meta_graph(folder, options.tags)
    checkpoint = _checkpoint(folder, meta)
    found = (
        StoredWeights() if checkpoint is None else stored_weights(meta.graph_def, checkpoint, meta)
    )
    assets, warnings = assets_of(folder, meta)
    return GraphSource(
        path=path,
        source_format="saved_model",
        graph_def=meta.graph_def,
        weights=found.weights,
        conflicts=found.conflicts,
        checkpoint=checkpoint,
        meta=meta,
        signatures=signatures_of(meta),
        assets=assets,
        init_ops=init_ops_of(meta),
        choices=(*choices, *choice),
        warnings=(*warnings, *found.warnings),
    )


def _folder(path: Path) -> tuple[Path, tuple[Choice, ...]]:
    folder = path.parent if path.is_file() else path
    if is_saved_model(folder):
        return folder, ()
    chosen = chosen_export(folder) if folder.is_dir() else None
    if chosen is not None:
        return chosen
    raise ConversionError(
        "There is no saved_model.pb in this folder, and it holds no exports.",
        received=str(folder),
        expected="saved_model.pb (or saved_model.pbtxt) beside variables/",
        fix="Copy or export the whole folder again.",
    )


def _meta_graph(folder: Path, tags: frozenset[str] | None) -> tuple[Any, tuple[Choice, ...]]:
    """The MetaGraph with these tags; without any given, the one to serve."""
    message = parsed_saved_model(folder)
    by_tags = {frozenset(meta.meta_info_def.tags): meta for meta in message.meta_graphs}
    if tags is not None:
        if tags not in by_tags:
            raise _no_such_tags(folder, by_tags, received=_words(tags))
        return by_tags[tags], ()
    if len(by_tags) == 1:
        return next(iter(by_tags.values())), ()
    serving = sorted(
        (tags for tags in by_tags if "serve" in tags), key=lambda one: (len(one), sorted(one))
    )
    if not serving or (len(serving) > 1 and len(serving[0]) == len(serving[1])):
        raise _no_such_tags(folder, by_tags, received="no tags")
    choice = Choice(
        what="tags",
        chosen=_words(serving[0]),
        alternatives=tuple(_words(other) for other in by_tags if other != serving[0]),
        argument="tags",
        reason="it is the one to serve",
    )
    return by_tags[serving[0]], (choice,)


def _checkpoint(folder: Path, meta: Any) -> CheckpointReader | None:
    """Its variables; a graph without any has no such folder."""
    variables = folder / "variables"
    if not any(node.op in VARIABLE_OPS for node in meta.graph_def.node):
        return None
    if not variables.is_dir() or not any(variables.iterdir()):
        raise ConversionError(
            "The folder variables/ of this SavedModel is missing: its graph has no weights.",
            received=str(folder),
            expected="variables/variables.index and its .data files beside saved_model.pb",
            fix="Copy or export the whole folder again.",
        )
    checkpoint = CheckpointReader(variables / "variables")
    checkpoint.verify()
    return checkpoint


def _no_such_tags(
    folder: Path, by_tags: dict[frozenset[str], Any], *, received: str
) -> ConversionError:
    return ConversionError(
        f"Which graph of this SavedModel is meant? It has {len(by_tags)}, for different tags.",
        received=f"{received} for {folder}",
        expected="one of these sets of tags: " + "; ".join(sorted(map(_words, by_tags))),
        fix='Name all tags of one set, such as tags={"serve"}.',
    )


def _words(tags: frozenset[str]) -> str:
    return "{" + ", ".join(sorted(tags)) + "}"
