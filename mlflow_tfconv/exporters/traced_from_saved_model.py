"""Reads a SavedModel of TensorFlow 1 or 2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConversionError, TfconvError
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_graph_source import traced_from_graph_source
from mlflow_tfconv.exporters.traced_from_saved_objects import traced_from_saved_objects
from mlflow_tfconv.runtimes.saved_model_runtime import DEFAULT_SIGNATURE
from mlflow_tfconv.runtimes.saved_model_safety import (
    is_of_tensorflow_2,
    parsed_saved_model,
    refuse_unsafe_meta_graph,
    require_variables,
)
from mlflow_tfconv.sources.graph.exports import chosen_export, is_saved_model
from mlflow_tfconv.sources.graph.graph_source_from_saved_model import graph_source_from_saved_model
from mlflow_tfconv.sources.options import SourceOptions


def traced_from_saved_model(
    path: Path,
    options: SourceOptions = SourceOptions(),
    *,
    device: Device,
) -> Traced:
    """Traces a signature, a function, or a part of the graph.

    Args:
        path: The folder that holds saved_model.pb, that file, or a folder of exports, of which the
            newest is taken.
        options: Signature, tags, inputs, outputs, shapes, and whether the file is trusted.
        device: Where to compute.

    Raises:
        ConversionError: It is refused, damaged, or what was asked for is not in it.
    """
    folder, choices = _folder(path)
    message = parsed_saved_model(folder)
    require_variables(folder, message)
    read = _of_tensorflow_2 if is_of_tensorflow_2(message) else _of_tensorflow_1
    try:
        traced = read(message, folder, options, device)
    except TfconvError:
        raise
    except (LookupError, TypeError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ConversionError(
            "The SavedModel's graph (saved_model.pb) is damaged, or like none that is known.",
            received=f"{folder}: {type(error).__name__}: {str(error).strip()[:500]}",
            fix="Copy or export the whole folder again.",
        ) from error
    return replace(traced, choices=(*choices, *traced.choices))


def _of_tensorflow_2(message: Any, folder: Path, options: SourceOptions, device: Device) -> Traced:
    _require_tags(message.meta_graphs[0], folder, options.tags)
    return traced_from_saved_objects(message.meta_graphs[0], folder, options, device=device)


def _folder(path: Path) -> tuple[Path, tuple[Choice, ...]]:
    folder = path.parent if path.is_file() else path
    chosen = None if is_saved_model(folder) else chosen_export(folder)
    return chosen or (folder, ())


def _of_tensorflow_1(_: Any, folder: Path, options: SourceOptions, device: Device) -> Traced:
    source = graph_source_from_saved_model(folder, options)
    if not options.trust:
        refuse_unsafe_meta_graph(source.meta, where=folder, signatures=_run(source.meta, options))
    return traced_from_graph_source(source, options, device=device)


def _run(meta_graph: Any, options: SourceOptions) -> set[str] | None:
    """The signatures that would be run; None when any could be."""
    if options.inputs is not None or options.outputs is not None:
        return set()
    if options.signature is not None:
        return {options.signature}
    return {DEFAULT_SIGNATURE} if DEFAULT_SIGNATURE in meta_graph.signature_def else None


def _require_tags(meta_graph: Any, path: Path, tags: frozenset[str] | None) -> None:
    own = set(meta_graph.meta_info_def.tags)
    if tags is not None and tags != own:
        raise ConversionError(
            "This SavedModel has no graph with these tags.",
            received=f"tags={sorted(tags)}, in {path}",
            expected=f"its only tag set: {sorted(own)}",
            fix="Leave `tags` out.",
        )
