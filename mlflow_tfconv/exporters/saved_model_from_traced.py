"""Writes a SavedModel."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import save as saved_model_save

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.quiet_tensorflow import quiet_tensorflow
from mlflow_tfconv.exporters.streamed_checkpoint import (
    NotStreamableError,
    write_streamed_checkpoint,
)
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.saved_model_runtime import DEFAULT_SIGNATURE


def saved_model_from_traced(traced: Traced, path: Path) -> None:
    """Writes the model with one signature, `serving_default`, under the source's own names.

    Weights that are still in their files are read and written a few at a time. The same model
    gives the same bytes: TensorFlow's fingerprint.pb, which holds a random number and which nothing
    needs, is left out.

    Raises:
        ConversionError: TensorFlow refuses to write it.
    """
    save = _save if traced.weights.in_memory else _save_streamed
    try:
        with quiet_tensorflow():
            _with_gradients_if_possible(save, traced, path)
    except (ValueError, AssertionError, TypeError, KeyError) as error:
        raise ConversionError(
            "TensorFlow can't write this model as a SavedModel.",
            received=str(error).strip()[:1000],
            fix="If it speaks of an untracked resource: keep tables and variables as attributes of "
            "a layer, not in global variables.",
        ) from error
    _put_functions_in_order(path / "saved_model.pb")
    (path / "fingerprint.pb").unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: the model has assets
        (path / "assets").rmdir()


Save = Callable[[Traced, Path, Any], None]


def _with_gradients_if_possible(save: Save, traced: Traced, path: Path) -> None:
    """Gradients that the model defines itself are kept, unless they can't be traced again."""
    try:
        save(traced, path, _options(gradients=True))
    except ValueError as error:
        if "gradient" not in str(error):
            raise
        save(traced, path, _options(gradients=False))


def _options(*, gradients: bool) -> Any:
    return tf.saved_model.SaveOptions(
        save_debug_info=False, experimental_custom_gradients=gradients
    )


def _save(traced: Traced, path: Path, options: Any) -> None:
    signatures = {DEFAULT_SIGNATURE: traced.function}
    tf.saved_model.save(traced.module, str(path), signatures=signatures, options=options)


def _save_streamed(traced: Traced, path: Path, options: Any) -> None:
    nodes, paths = saved_model_save.save_and_return_nodes(
        traced.module,
        str(path),
        signatures={DEFAULT_SIGNATURE: traced.function},
        options=options,
        experimental_skip_checkpoint=True,
    )
    variables = {
        node_id: (node, tuple(reference.name for reference in paths[node]))
        for node_id, node in enumerate(nodes)
        if isinstance(node, tf.Variable)
    }
    try:
        write_streamed_checkpoint(path, variables, traced.weights.value)
    except NotStreamableError:
        _fill(traced, [variable for variable, _ in variables.values()])
        _save(traced, path, options)


def _fill(traced: Traced, variables: list[Any]) -> None:
    """Gives the variables their values after all: the model has more to save than variables."""
    for variable in variables:
        variable.assign(traced.weights.value(variable))


def _put_functions_in_order(file: Path) -> None:
    """TensorFlow keeps functions in a hash table whose order is another one in every process."""
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for meta_graph in message.meta_graphs:
        meta_graph.graph_def.library.function.sort(key=lambda function: function.signature.name)
    file.write_bytes(message.SerializeToString(deterministic=True))
