"""Which of the machine's GPUs CUDA is shown, and in which order."""

from __future__ import annotations

import os
from typing import Any

VARIABLE = "CUDA_VISIBLE_DEVICES"
_ANY_NUMBER = 1 << 31  # NVML itself says when there is none of a number


def visible_gpus(count: int) -> list[str]:
    """What CUDA counts as its GPUs 0, 1, ...: numbers of NVML, or UUIDs (of MIG devices too).

    CUDA takes the variable's names up to the first that is none of its GPUs.

    Args:
        count: How many GPUs NVML counts.
    """
    told = os.environ.get(VARIABLE)
    if told is None:
        return [str(number) for number in range(count)]
    found: list[str] = []
    for name in (part.strip() for part in told.split(",")):
        if not _is_one(name, count) or name in found:
            break
        found.append(name)
    return found


def nvml_handle(nvml: Any, index: int) -> Any:
    """NVML's handle of a GPU.

    Args:
        nvml: The module pynvml, or one like it.
        index: The GPU as CUDA counts them: CUDA_VISIBLE_DEVICES renumbers GPUs for CUDA, but not
            for NVML.

    Raises:
        NVMLError: There is none of that number.
    """
    names = visible_gpus(index + 1 if os.environ.get(VARIABLE) is None else _ANY_NUMBER)
    name = names[index] if index < len(names) else str(index)
    if name.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    try:
        return nvml.nvmlDeviceGetHandleByUUID(name)
    except nvml.NVMLError:
        return _by_beginning(nvml, name)


def _is_one(name: str, count: int) -> bool:
    return int(name) < count if name.isdigit() else name.startswith(("GPU-", "MIG-"))


def _by_beginning(nvml: Any, name: str) -> Any:
    """CUDA is content with the beginning of a UUID, NVML is not."""
    for number in range(int(nvml.nvmlDeviceGetCount())):
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
        uuid = nvml.nvmlDeviceGetUUID(handle)
        if (uuid.decode() if isinstance(uuid, bytes) else uuid).startswith(name):
            return handle
    return nvml.nvmlDeviceGetHandleByUUID(name)  # which says what is wrong with it
