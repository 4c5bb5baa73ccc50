"""Writes the variables of a SavedModel a few at a time.

TensorFlow's own saving needs all variables initialized, which takes as much memory as they do. A
checkpoint may be written in parts by the operations that it uses itself, `SaveV2` and
`MergeV2Checkpoints`; the keys are those that the SavedModel's own restoring asks for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

from mlflow_tfconv.errors import ConversionError

Array = np.ndarray[Any, Any]

#: How many bytes are read before they are written; a larger weight is written alone.
PART_BYTES = 64 * 2**20
_OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"


class NotStreamableError(Exception):
    """Raised when a SavedModel has more to restore than variables, such as tables that change."""


def write_streamed_checkpoint(
    path: Path,
    variables: Mapping[int, tuple[Any, tuple[str, ...]]],
    value: Callable[[Any], Array],
) -> None:
    """Writes variables/ of a SavedModel whose saved_model.pb is there.

    Args:
        path: The SavedModel's folder.
        variables: A variable's place in the graph of objects, to the variable and the names of the
            attributes that lead to it.
        value: Gives a variable's value; one group of at most `PART_BYTES` is in memory at a time.

    Raises:
        NotStreamableError: The SavedModel restores something else than these variables.
        ConversionError: A value does not have its variable's shape.
    """
    message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    meta_graph = message.meta_graphs[0]
    keys = {node_id: checkpoint_key(names) for node_id, (_, names) in variables.items()}
    if _restored_keys(meta_graph) != {*keys.values(), _OBJECT_GRAPH_KEY}:
        raise NotStreamableError
    graph = _object_graph(meta_graph, variables, keys)
    folder = path / "variables"
    folder.mkdir(exist_ok=True)
    named = {keys[node_id]: variable for node_id, (variable, _) in variables.items()}
    with tf.init_scope(), tf.device("CPU:0"):
        _write(folder, _parts(named, value, {_OBJECT_GRAPH_KEY: tf.constant(graph)}))


def checkpoint_key(names: tuple[str, ...]) -> str:
    """The key of a variable's value: the attributes that lead to it, as TensorFlow escapes them."""
    escaped = (name.replace(".", "..").replace("/", ".S") for name in names)
    return "/".join([*escaped, ".ATTRIBUTES", _VALUE])


def _restored_keys(meta_graph: Any) -> set[str]:
    """What the SavedModel's own function for restoring reads from its checkpoint."""
    keys: set[str] = set()
    for function in meta_graph.graph_def.library.function:
        nodes = {node.name: node for node in function.node_def}
        for node in function.node_def:
            if node.op == "RestoreV2":
                names = nodes[node.input[1].split(":")[0]].attr["value"].tensor
                keys |= {key.decode() for key in tf.make_ndarray(names).ravel()}
    return keys


def _object_graph(
    meta_graph: Any, variables: Mapping[int, tuple[Any, tuple[str, ...]]], keys: Mapping[int, str]
) -> bytes:
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    for node_id, node in enumerate(meta_graph.object_graph_def.nodes):
        copied = graph.nodes.add()
        for child in node.children:
            copied.children.add(node_id=child.node_id, local_name=child.local_name)
        if node_id in keys:
            copied.attributes.add(
                name=_VALUE,
                full_name=variables[node_id][0].name.removesuffix(":0"),
                checkpoint_key=keys[node_id],
            )
        copied.has_checkpoint_values.value = node_id in keys
    serialized: bytes = graph.SerializeToString(deterministic=True)
    return serialized


def _checked(variable: Any, value: Callable[[Any], Array]) -> Any:
    array = value(variable)
    if not variable.shape.is_compatible_with(array.shape):
        raise ConversionError(
            f"The value of variable {variable.name} does not have its shape.",
            received=f"{list(array.shape)}",
            expected=f"{variable.shape}",
        )
    return _tensor(array, variable.dtype)


def _tensor(array: Array, dtype: Any) -> Any:
    """The array as a tensor, without a copy where TensorFlow can take it as it is."""
    flags = array.flags
    plain = array.dtype.kind in "fiu" and dtype == array.dtype
    if plain and flags.c_contiguous and flags.writeable and array.ctypes.data % 64 == 0:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.convert_to_tensor(array, dtype)


def _parts(
    variables: Mapping[str, Any], value: Callable[[Any], Array], first: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Groups of values, each of at most `PART_BYTES` or of one value; read as late as can be."""
    part, size = first, 0
    for key, variable in variables.items():
        more = variable.dtype.size * (variable.shape.num_elements() or 0)
        if size and size + more > PART_BYTES:
            yield part
            part, size = {}, 0
        part[key] = _checked(variable, value)
        size += more
    yield part


def _write(folder: Path, parts: Iterator[dict[str, Any]]) -> None:
    """Writes each part as a checkpoint of its own, and makes one of them."""
    prefixes: list[str] = []
    with tempfile.TemporaryDirectory(dir=folder) as work:
        for part in parts:
            place = Path(work) / f"{len(prefixes):05d}"
            place.mkdir()
            prefixes.append(str(place / "part"))
            tf.raw_ops.SaveV2(
                prefix=prefixes[-1],
                tensor_names=list(part),
                shape_and_slices=[""] * len(part),
                tensors=list(part.values()),
            )
            part.clear()
        tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=prefixes,
            destination_prefix=str(folder / "variables"),
            delete_old_dirs=False,
        )
