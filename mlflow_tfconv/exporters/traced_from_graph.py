"""Reads a TensorFlow 1 graph: a checkpoint with its graph, a folder of them, or a frozen graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_graph_source import traced_from_graph_source
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_source_from_checkpoint import graph_source_from_checkpoint
from mlflow_tfconv.sources.graph.graph_source_from_folder import graph_source_from_folder
from mlflow_tfconv.sources.graph.graph_source_from_graph import graph_source_from_graph
from mlflow_tfconv.sources.options import SourceOptions

#: Format to who reads it.
_SOURCES: dict[str, Callable[[Path, SourceOptions], GraphSource]] = {
    "tf_checkpoint": graph_source_from_checkpoint,
    "tf_checkpoint_v1": graph_source_from_checkpoint,
    "tf_checkpoint_folder": graph_source_from_folder,
    "meta_graph": graph_source_from_checkpoint,
    "graph_def": graph_source_from_graph,
    "graph_text": graph_source_from_graph,
}


def traced_from_graph(
    path: Path, options: SourceOptions = SourceOptions(), *, device: Device
) -> Traced:
    """Traces what a graph computes in inference.

    Args:
        path: The checkpoint's prefix, its folder, or the graph's file.
        options: What the user says about what the files leave open.
        device: Where to compute.

    Raises:
        ConversionError: A file is damaged or missing, the inputs or outputs can't be told, or what
            the outputs depend on can't be converted.
    """
    found = recognised(path)
    read = _SOURCES.get(found.format, graph_source_from_checkpoint)
    return traced_from_graph_source(read(found.path, options), options, device=device)
