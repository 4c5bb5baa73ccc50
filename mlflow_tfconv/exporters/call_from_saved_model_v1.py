"""Makes a SavedModel of TensorFlow 1 callable with its variables frozen.

Its variables are of a kind (`VariableV2`) that TensorFlow 2 can run but not freeze.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from mlflow_tfconv.exporters.quiet_tensorflow import quiet_tensorflow
from mlflow_tfconv.runtimes.names import tidy_name
from mlflow_tfconv.runtimes.saved_model_safety import parsed_saved_model

Call = Callable[[Mapping[str, Any]], dict[str, Any]]

#: Tables lose their content when a graph is frozen.
_TABLES = frozenset({"HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2"})


def call_from_saved_model_v1(path: Path, signature: str) -> Call | None:
    """Gives `{output_name: tensor}` for `{input_name: tensor}`.

    None when the SavedModel is not of TensorFlow 1, or can't be frozen since it has tables.
    """
    meta_graph = parsed_saved_model(path).meta_graphs[0]
    if meta_graph.HasField("object_graph_def"):
        return None
    chosen = meta_graph.signature_def[signature]
    feeds = {tidy_name(key): info.name for key, info in chosen.inputs.items()}
    fetches = {tidy_name(key): info.name for key, info in chosen.outputs.items()}
    with quiet_tensorflow():
        frozen = _frozen(path, list(meta_graph.meta_info_def.tags), list(fetches.values()))
        if any(node.op in _TABLES for node in frozen.node):
            return None
        return _callable(frozen, feeds, fetches)


def _frozen(path: Path, tags: list[str], fetches: list[str]) -> Any:
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.compat.v1.saved_model.load(session, tags, str(path))
        return tf.compat.v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [name.split(":")[0] for name in fetches]
        )


def _callable(frozen: Any, feeds: Mapping[str, str], fetches: Mapping[str, str]) -> Call:
    whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(frozen, name=""), [])
    tensor = whole.graph.get_tensor_by_name
    function = whole.prune(
        [tensor(name) for name in feeds.values()],
        {key: tensor(name) for key, name in fetches.items()},
    )
    return lambda tensors: dict(function(*(tensors[key] for key in feeds)))
