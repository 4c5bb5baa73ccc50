"""Options of a device that were asked for and do nothing where it computes."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

from mlflow_tfconv.device.named_device import Device, DeviceOptions

Library = Literal["tensorflow", "onnxruntime"]
_THREADS = ("intra_op_threads", "inter_op_threads")
_ALSO_FOR_BATCHES = {"memory_limit_mb": "memory_limit_mb (but for `batch_size: auto`)"}
#: What a library knows nothing of, on a GPU.
_OF_THE_OTHER = {
    "tensorflow": ("arena_strategy", "cuda_graphs", "float16", "engine_cache"),
    "onnxruntime": ("allocator",),
}


def without_effect(device: Device, library: Library) -> list[str]:
    """Names of options that differ from their defaults and mean nothing to the library there.

    Options that are wrong on a device whatever computes are refused by `Device` itself; these are
    only told, since one profile serves TensorFlow and ONNX Runtime, and the CPU too.
    """
    asked = [
        field.name
        for field in fields(DeviceOptions)
        if getattr(device.options, field.name) != field.default
    ]
    if device.kind == "cpu":
        return [_ALSO_FOR_BATCHES.get(name, name) for name in asked if name not in _THREADS]
    return [name for name in asked if name in _OF_THE_OTHER[library]]
