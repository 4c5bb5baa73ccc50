"""What the runtimes' own allocators tell: memory in use against memory reserved."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.device import Device

TENSORFLOW, ONNX_RUNTIME = "tensorflow_allocator", "onnxruntime_arena"
_ARENA = ("mem_in_use_peak", "mem_arena_held", "mem_bytes_in_use", "mem_bytes_requested_in_use")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaMemory:
    """An arena of ONNX Runtime, in bytes.

    Attributes:
        in_use_peak: The most that was in use at a time, weights included.
        reserved: The most that the arena has taken from the device; what is not in use of it is
            fragmentation, or kept for later.
        wasted_peak: The most that was in use and not asked for: sizes are rounded up.
    """

    in_use_peak: int
    reserved: int
    wasted_peak: int


def arenas_of_profile(events: Iterable[Mapping[str, Any]]) -> dict[str, ArenaMemory]:
    """What a profile of ONNX Runtime tells of the arena of each provider.

    Newer releases do so (onnxruntime #29058; 1.31 does, 1.26 does not): after each node the statistics of the allocator
    that the node's provider uses.

    Args:
        events: Those of the profile's JSON.

    Returns:
        Provider to its arena; empty for a profile of an older ONNX Runtime, or where arenas are
        switched off.
    """
    readings: dict[str, list[tuple[int, ...]]] = {}
    for event in events:
        told = event.get("args")
        if isinstance(told, Mapping) and all(name in told for name in _ARENA):
            provider = str(told.get("provider", ""))
            readings.setdefault(provider, []).append(tuple(int(told[name]) for name in _ARENA))
    return {name: _arena(rows) for name, rows in readings.items() if max(r[1] for r in rows) > 0}


def _arena(rows: list[tuple[int, ...]]) -> ArenaMemory:
    return ArenaMemory(
        in_use_peak=max(row[0] for row in rows),
        reserved=max(row[1] for row in rows),
        wasted_peak=max(row[2] - row[3] for row in rows),
    )


@dataclass(slots=True)
class TensorflowAllocator:
    """TensorFlow's allocator on the GPU that this process computes on; it keeps its own peak."""

    name: str = "GPU:0"  # of the visible ones, of which there is one
    _highest: int = 0

    def peak_since(self) -> int | None:
        """The most bytes that were in use at a time since this was last asked; None if unknown."""
        tf = sys.modules["tensorflow"]
        try:
            peak = int(tf.config.experimental.get_memory_info(self.name)["peak"])
            tf.config.experimental.reset_memory_stats(self.name)
        except (ValueError, KeyError, tf.errors.OpError):  # an allocator without statistics
            return None
        self._highest = max(self._highest, peak)
        return peak or None

    def in_use(self) -> int | None:
        """The bytes in use now; None if unknown."""
        tf = sys.modules["tensorflow"]
        try:
            return int(tf.config.experimental.get_memory_info(self.name)["current"]) or None
        except (ValueError, KeyError, tf.errors.OpError):
            return None

    def peak(self) -> int | None:
        """The highest of all peaks that were asked for; None before and when there is none."""
        return self._highest or None


def tensorflow_allocator(device: Device) -> TensorflowAllocator | None:
    """The allocator of TensorFlow on a GPU; None on the CPU, or where TensorFlow is not used."""
    if device.kind == "cpu" or "tensorflow" not in sys.modules:
        return None
    return TensorflowAllocator()
