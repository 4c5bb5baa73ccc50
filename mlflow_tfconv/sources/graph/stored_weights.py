"""Where each variable of a graph has its value in a checkpoint."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.checkpoints.stored_tensor import dtype_name
from mlflow_tfconv.sources.checkpoints.tensor_slice import TensorSlice, tensor_slice
from mlflow_tfconv.sources.graph.graph_source import VARIABLE_OPS, Conflict, StoredWeight
from mlflow_tfconv.sources.graph.partitions import partitions
from mlflow_tfconv.sources.graph.restored_variables import Restored, restored_variables

Array = np.ndarray[Any, Any]
Shape = tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """What was found.

    Attributes:
        weights: Variable node to its stored value.
        conflicts: Variable node to why it has none.
        warnings: Where the value is another than the graph itself would take.
    """

    weights: dict[str, StoredWeight] = field(default_factory=dict)
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def stored_weights(graph_def: Any, checkpoint: CheckpointReader, meta: Any) -> StoredWeights:
    """Where each variable of a graph has its value.

    The graph's own Savers tell first, the one that wrote the checkpoint before others; then names.

    Args:
        graph_def: The `GraphDef`.
        checkpoint: The checkpoint.
        meta: The `MetaGraphDef`, or None.
    """
    restored = restored_variables(graph_def)
    rank = _ranks(restored, checkpoint, meta)
    parts = partitions(graph_def, meta, checkpoint)
    found = StoredWeights()
    for node in graph_def.node:
        if node.op not in VARIABLE_OPS:
            continue
        by_saver = sorted(restored.get(node.name, []), key=lambda one: rank[one.saver])
        candidates = [*by_saver, *_by_name(node, parts)]
        tried = [_matched(node, candidate, checkpoint) for candidate in candidates]
        match = next((one for one in tried if isinstance(one, StoredWeight)), None)
        if match is None:
            found.conflicts[node.name] = _conflict(node, str(tried[0]), saved=bool(by_saver))
            continue
        found.weights[node.name] = match
        if by_saver and match.key not in {one.key for one in by_saver}:
            found.warnings.append(
                f"The graph restores variable {node.name} from {by_saver[0].key}, which is not in "
                f"the checkpoint; {match.key} was taken."
            )
    return found


def variable_shape(node: Any) -> Shape:
    """The shape that a variable's node declares, None where it leaves that open."""
    shape = node.attr["shape"].shape
    if shape.unknown_rank or (node.op == "Variable" and not shape.dim):
        return None  # TensorFlow 0.12 wrote an unknown shape as that of a scalar
    return tuple(int(dim.size) if dim.size >= 0 else None for dim in shape.dim)


def _ranks(
    restored: Mapping[str, Sequence[Restored]], checkpoint: CheckpointReader, meta: Any
) -> dict[str, int]:
    """Savers in the order in which they are asked.

    The one that the MetaGraph names wrote the checkpoint. Without one: who finds most of its keys,
    since what only initializes from another checkpoint finds few.
    """
    every = [one for several in restored.values() for one in several]
    found = Counter(one.saver for one in every if one.key in checkpoint)
    named = meta.saver_def.filename_tensor_name.split(":")[0] if meta is not None else ""
    savers = dict.fromkeys(one.saver for one in every)
    order = sorted(savers, key=lambda saver: (saver != named, -found[saver]))
    return {saver: place for place, saver in enumerate(order)}


def _by_name(node: Any, parts: Mapping[str, Restored]) -> Iterator[Restored]:
    shared = node.attr["shared_name"].s.decode("utf-8", "replace")
    for name in dict.fromkeys((node.name, shared)):
        if name:
            yield Restored(saver="", key=name, part="", reshaped=False)
    if node.name in parts:
        yield parts[node.name]


def _matched(node: Any, restored: Restored, checkpoint: CheckpointReader) -> StoredWeight | str:
    """The stored value, or why there is none."""
    if restored.key not in checkpoint:
        other = "" if restored.key == node.name else f" (under the key {restored.key})"
        return f"is not in the checkpoint{other}"
    dtype = _dtype(node)
    stored = checkpoint.shape(restored.key)
    if checkpoint.dtype(restored.key) != dtype:
        return f"has type {checkpoint.dtype(restored.key)} in the checkpoint"
    try:
        part = tensor_slice(restored.part)
    except ValueError as error:
        return f"is restored from an impossible part: {error}"
    if part is not None and part.full_shape != stored:
        return f"is a part of {list(part.full_shape)}, which has shape {list(stored)} there"
    shape = stored if part is None else part.sizes
    declared = variable_shape(node)
    if _fits(declared, shape):
        declared = shape
    elif not (restored.reshaped and _same_count(declared, shape)):
        return f"has shape {list(shape)} in the checkpoint"
    return _weight(restored.key, dtype, declared, partial(_read, checkpoint, restored.key, part))


def _dtype(node: Any) -> str:
    try:
        return dtype_name(node.attr["dtype"].type)
    except ValueError:
        return "unknown"


def _weight(key: str, dtype: str, shape: Shape, read: partial[Array]) -> StoredWeight:
    sizes = tuple(size or 0 for size in shape or ())
    return StoredWeight(key=key, dtype=dtype, shape=sizes, read=partial(_reshaped, read, sizes))


def _read(checkpoint: CheckpointReader, key: str, part: TensorSlice | None) -> Array:
    return checkpoint.read(key, part)


def _reshaped(read: partial[Array], shape: tuple[int, ...]) -> Array:
    return read().reshape(shape)


def _fits(declared: Shape, shape: tuple[int, ...]) -> bool:
    if declared is None:
        return True
    return len(declared) == len(shape) and all(
        size in (None, given) for size, given in zip(declared, shape, strict=True)
    )


def _same_count(declared: Shape, shape: tuple[int, ...]) -> bool:
    if declared is None or None in declared:
        return False
    return math.prod(size or 0 for size in declared) == math.prod(shape)


def _conflict(node: Any, problem: str, *, saved: bool) -> Conflict:
    return Conflict(
        variable=node.name,
        dtype=_dtype(node),
        shape=variable_shape(node),
        problem=problem,
        saved=saved,
    )
