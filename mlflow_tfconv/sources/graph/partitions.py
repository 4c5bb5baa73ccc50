"""Parts of partitioned variables, where no Saver in the graph tells which part each one is."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import variable_pb2

from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.checkpoints.tensor_slice import TensorSlice
from mlflow_tfconv.sources.graph.graph_source import VARIABLE_OPS
from mlflow_tfconv.sources.graph.restored_variables import Restored

_PART = re.compile(r"/part_(\d+)(?=/|$)")

Sizes = tuple[int, ...]


def partitions(graph_def: Any, meta: Any, checkpoint: CheckpointReader) -> dict[str, Restored]:
    """Variable node to the part of a stored tensor that it is.

    The MetaGraph's collections say it; else `name/part_0`, `name/part_1`, ... are put one after
    another along the one axis where that gives the stored shape.
    """
    groups: dict[str, dict[int, tuple[str, Sizes]]] = {}
    for node in graph_def.node:
        match = _PART.search(node.name) if node.op in VARIABLE_OPS else None
        if match:
            shape = tuple(int(dim.size) for dim in node.attr["shape"].shape.dim)
            whole = node.name[: match.start()] + node.name[match.end() :]
            groups.setdefault(whole, {})[int(match.group(1))] = (node.name, shape)
    found: dict[str, Restored] = {}
    for whole, parts in groups.items():
        if whole in checkpoint and sorted(parts) == list(range(len(parts))):
            ordered = [parts[number] for number in range(len(parts))]
            found |= _along_one_axis(whole, ordered, checkpoint.shape(whole))
    return found | _of_collections(meta)


def _along_one_axis(key: str, parts: list[tuple[str, Sizes]], full: Sizes) -> dict[str, Restored]:
    shapes = [shape for _, shape in parts]
    axes = [
        axis
        for axis in range(len(full))
        if all(len(shape) == len(full) for shape in shapes)
        and sum(shape[axis] for shape in shapes) == full[axis]
        and all(
            shape[:axis] + shape[axis + 1 :] == full[:axis] + full[axis + 1 :] for shape in shapes
        )
    ]
    if len(axes) != 1:
        return {}
    found, start = {}, 0
    for name, shape in parts:
        starts = tuple(start if axis == axes[0] else 0 for axis in range(len(full)))
        found[name] = _restored(key, TensorSlice(full, starts, shape))
        start += shape[axes[0]]
    return found


def _of_collections(meta: Any) -> dict[str, Restored]:
    found: dict[str, Restored] = {}
    for collection in meta.collection_def.values() if meta is not None else ():
        for value in collection.bytes_list.value:
            try:
                variable = variable_pb2.VariableDef.FromString(value)
            except DecodeError:
                continue  # a collection of something else
            info = variable.save_slice_info_def
            if not info.full_name or not info.var_shape:
                continue
            part = TensorSlice(
                tuple(info.full_shape), tuple(info.var_offset), tuple(info.var_shape)
            )
            if len({len(part.full_shape), len(part.starts), len(part.sizes)}) == 1:
                found[variable.variable_name.split(":")[0]] = _restored(info.full_name, part)
    return found


def _restored(key: str, part: TensorSlice) -> Restored:
    return Restored(saver="", key=key, part=str(part), reshaped=False)
