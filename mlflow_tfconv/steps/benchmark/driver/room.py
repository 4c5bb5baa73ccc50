"""Whether another variant fits into memory beside those that are open."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device, gpu_state
from mlflow_tfconv.engine.guarded import free_memory_mb
from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.formats.model_files import model_bytes
from mlflow_tfconv.steps.benchmark.worker.host_memory import host_memory

_MB = 1e6
_WEIGHTS_TWICE = 2.5  # while it is loaded a model is there as its file and as its weights
_EMPTY_MB = {"onnx": 80.0}
_TENSORFLOW_MB = 900.0
_RESERVE = 1.2


def expected_mb(variant: Variant) -> float:
    """About what a worker takes for a variant that was never opened, in 10^6 bytes."""
    weights = 0.0
    with suppress(TfconvError, OSError):  # it can't be opened either, which says why
        weights = model_bytes(variant.path) / _MB
    return _EMPTY_MB.get(variant.format, _TENSORFLOW_MB) + _WEIGHTS_TWICE * weights


def has_room(variant: Variant, pids: Iterable[int], device: Device) -> bool:
    """Whether the variant is expected to fit beside these processes.

    Args:
        variant: To be opened.
        pids: Of workers that are open: of these only one at a time works, and then takes what it
            took at its peak.
        device: Where they compute.
    """
    needed = expected_mb(variant) * _RESERVE
    if free_memory_mb() - _growth_mb(pids) < needed:
        return False
    free = None if device.kind == "cpu" else _gpu_free_mb(device)
    return free is None or free > needed


def can_work(pids: Iterable[int]) -> bool:
    """Whether all that are open leave enough for any one of them to reach its peak again."""
    return free_memory_mb() > _growth_mb(pids)


def _growth_mb(pids: Iterable[int]) -> float:
    """The most that one of them may still take, as its peak tells."""
    told = [found for pid in pids if pid != os.getpid() and (found := host_memory(pid)) is not None]
    return max((found.peak - found.resident for found in told), default=0) / _MB


def _gpu_free_mb(device: Device) -> float | None:
    state = gpu_state(device.indices[0])
    return None if state is None else state.free_mb
