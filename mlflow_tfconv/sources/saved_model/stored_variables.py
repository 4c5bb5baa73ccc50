"""Where in a SavedModel's checkpoint the values of its variables are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.saved_object_graph import SavedObjectGraph
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.graph.not_finite import not_finite

Array = np.ndarray[Any, Any]

_VALUE = "VARIABLE_VALUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVariables:
    """The variables that a function needs, still in their files.

    Attributes:
        readers: A variable's node to a function that reads its value now.
        names: A variable's node to its name.
        tables: Whether something else that it needs has values in the checkpoint, such as the rows
            of a table that can change.
    """

    readers: Mapping[int, Callable[[], Array]] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    tables: bool = False

    def not_finite(self) -> tuple[str, ...]:
        """A warning for each variable that holds NaN or infinite values; each is read once."""
        found = (not_finite(self.names[node_id], read()) for node_id, read in self.readers.items())
        return tuple(warning for warning in found if warning is not None)


def stored_variables(
    objects: SavedObjectGraph, path: Path, needed: Collection[int]
) -> StoredVariables:
    """Finds the values of variables; none is read.

    Args:
        objects: The SavedModel's objects.
        path: Its folder.
        needed: The nodes that the function needs.

    Raises:
        ConversionError: A file of the checkpoint is damaged, or a variable is not in it as it
            should be.
    """
    prefix = path / "variables" / "variables"
    wanted = {n: v for n in needed if (v := _variable(objects, n)) is not None}
    if not prefix.with_suffix(".index").is_file():
        if wanted:
            raise _not_stored(next(iter(wanted.values())), path, "there is no checkpoint")
        return StoredVariables()
    checkpoint = CheckpointReader(prefix)
    keys, others = _keys(objects, checkpoint.object_graph())
    for node_id, variable in wanted.items():
        _require_stored(variable, keys.get(node_id), checkpoint, path)
    return StoredVariables(
        readers={node_id: partial(checkpoint.read, keys[node_id]) for node_id in wanted},
        names={node_id: variable.name for node_id, variable in wanted.items()},
        tables=bool(others & set(needed)),
    )


def _variable(objects: SavedObjectGraph, node_id: int) -> Any:
    node = objects.nodes[node_id]
    return node.variable if node.WhichOneof("kind") == "variable" else None


def _keys(objects: SavedObjectGraph, checkpoint: Any) -> tuple[dict[int, str], set[int]]:
    """A variable's node to its key, and the nodes of which the checkpoint holds something else.

    Both graphs of objects are walked from their roots along attributes of the same name.
    """
    keys: dict[int, str] = {}
    others: set[int] = set()
    seen, waiting = {(0, 0)}, [(0, 0)]
    while waiting and checkpoint is not None:
        node_id, stored_id = waiting.pop()
        if not 0 <= stored_id < len(checkpoint.nodes):
            continue
        stored = checkpoint.nodes[stored_id]
        for attribute in stored.attributes:
            if attribute.name == _VALUE:
                keys[node_id] = attribute.checkpoint_key
            else:
                others.add(node_id)
        if stored.registered_saver.name:
            others.add(node_id)
        children = objects.children(node_id)
        for child in stored.children:
            pair = children.get(child.local_name, -1), child.node_id
            if pair[0] >= 0 and pair not in seen:
                seen.add(pair)
                waiting.append(pair)
    return keys, others


def _require_stored(
    variable: Any, key: str | None, checkpoint: CheckpointReader, path: Path
) -> None:
    if key is None or key not in checkpoint:
        raise _not_stored(variable, path, "it has no key there")
    shape, dtype = checkpoint.shape(key), checkpoint.dtype(key)
    wanted = tf.dtypes.as_dtype(variable.dtype).name
    if not tf.TensorShape(variable.shape).is_compatible_with(shape) or dtype != wanted:
        raise _not_stored(variable, path, f"{key} is {dtype} of shape {list(shape)} there")


def _not_stored(variable: Any, path: Path, problem: str) -> ConversionError:
    dtype = tf.dtypes.as_dtype(variable.dtype).name
    return ConversionError(
        f"The SavedModel's variable {variable.name} is not in its checkpoint: {problem}.",
        received=str(path / "variables"),
        expected=f"{dtype} of shape {tf.TensorShape(variable.shape)}",
        fix="Copy the whole folder again: saved_model.pb and variables/ do not belong together.",
    )
