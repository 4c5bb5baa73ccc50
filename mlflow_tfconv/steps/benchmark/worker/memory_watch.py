"""Reads the memory of this process phase by phase: loading, and running at each batch size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.steps.benchmark.worker.allocator_memory import TensorflowAllocator
from mlflow_tfconv.steps.benchmark.worker.gpu_memory import GpuMemory
from mlflow_tfconv.steps.benchmark.worker.host_memory import (
    HostMemory,
    children_peak_bytes,
    ended_child_peak_bytes,
    host_memory,
    peak_set_back,
)
from mlflow_tfconv.steps.benchmark.worker.memory_sampler import CURVE_COLUMNS, MemorySampler

CURVE_FILE = "memory_curve.npy"
LOAD = "load"
_FLAT = ("baseline_bytes", "resident_bytes", "peak_bytes")
#: How the peak of a phase was found: the kernel's own, or the highest that was seen.
KERNEL, SEEN = "VmHWM", "sampled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The memory of one phase, in bytes; None for what was not measured.

    Attributes:
        name: "load", "first_run", or "b32" for runs with 32 examples.
        host: At its end.
        host_peak: The most in it,
        method: and how that was found.
        gpu: What GpuMemory tells of it.
        in_use_peak: The most that the runtime's allocator had in use on the GPU.
        seconds: From when to when on the curve.
    """

    name: str
    host: HostMemory | None
    host_peak: int | None
    method: str | None
    gpu: dict[str, Any]
    in_use_peak: int | None
    seconds: tuple[float, float]


@dataclass(slots=True)
class MemoryWatch:
    """The memory of this process from before the model is loaded.

    Attributes:
        gpu: Reads the GPU; None without one.
        interval_s: Time between two points of the curve.
        allocator: TensorFlow's on the GPU; None without one.
        baseline: The host's memory before the model.
        phases: What was watched so far, in order.
    """

    gpu: GpuMemory | None = None
    interval_s: float = 0.005
    allocator: TensorflowAllocator | None = None
    baseline: HostMemory | None = None
    phases: list[Phase] = field(default_factory=list)
    _sampler: MemorySampler = field(init=False)
    _ended_before: int | None = None

    def __post_init__(self) -> None:
        glance = None if self.gpu is None else self.gpu.glance
        self._sampler = MemorySampler(self.interval_s, glance)

    def begin(self) -> None:
        """Takes what the process has by now for its baseline."""
        self.baseline = host_memory()
        self._ended_before = ended_child_peak_bytes()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Watches what is done within it."""
        exact, before = peak_set_back(), host_memory()
        started, points = self._sampler.now(), len(self._sampler)
        if self.allocator is not None:
            self.allocator.peak_since()
        with self._sampler:
            yield
        self.phases.append(self._seen(name, before if not exact else None, points, started))

    def _seen(self, name: str, kept: HostMemory | None, points: int, started: float) -> Phase:
        """What the phase took.

        Args:
            name: Its name.
            kept: Memory at its begin, where the kernel's peak could not be set back then.
            points: Where it begins on the curve.
            started: The second in which it began.
        """
        host, peak, method = host_memory(), None, None
        if host is not None:
            peak, method = host.peak, KERNEL
            if kept is not None and host.peak <= kept.peak:  # an older, higher one is in the way
                seen = self._sampler.highest_bytes(points) or 0
                peak, method = max(seen, host.resident, kept.resident), SEEN
        if self.gpu is not None:
            self.gpu.look()
        return Phase(
            name=name,
            host=host,
            host_peak=peak,
            method=method,
            gpu={} if self.gpu is None else self.gpu.peak_since(),
            in_use_peak=None if self.allocator is None else self.allocator.peak_since(),
            seconds=(started, self._sampler.now()),
        )

    def told(self, folder: Path) -> dict[str, Any]:
        """All readings as plain values; the curve is written into `folder`."""
        host = self._host()
        return {
            **{f"host_{name}": host.get(name) for name in _FLAT},
            "host": host,
            "gpu": self._gpu(),
            "phases": [_plain(phase) for phase in self.phases],
            "curve": self._curve(folder),
        }

    def _host(self) -> dict[str, Any]:
        loaded = next((p.host for p in self.phases if p.name == LOAD), None)
        peaks = [p.host_peak for p in self.phases if p.host_peak is not None]
        methods = {p.method for p in self.phases if p.method is not None}
        if self.baseline is None or not peaks:
            return {}
        base, last = self.baseline, self.phases[-1].host or self.baseline
        ended = ended_child_peak_bytes()
        found: dict[str, Any] = {
            "method": KERNEL if methods == {KERNEL} else f"{KERNEL} and {SEEN}",
            "baseline_bytes": base.resident,
            "peak_bytes": max(peaks),
            "file_mapped_bytes": max(last.file_mapped - base.file_mapped, 0),
            "swapped_bytes": last.swapped,
            "children_peak_bytes": children_peak_bytes(),
            "ended_child_peak_bytes": ended if ended != self._ended_before else None,
        }
        if loaded is not None:
            found["resident_bytes"] = loaded.resident
        return found

    def _gpu(self) -> dict[str, Any]:
        if self.gpu is None:
            return {}
        self.gpu.quiet()
        found = {**self.gpu.peak(), "total_bytes": self.gpu.total}
        if self.allocator is not None:
            found["in_use_peak_bytes"] = self.allocator.peak()
        return found

    def _curve(self, folder: Path) -> dict[str, Any]:
        if not len(self._sampler):
            return {}
        self._sampler.save(folder / CURVE_FILE)
        highest = self._sampler.highest_bytes()
        peaks = [p.host_peak for p in self.phases if p.host_peak is not None]
        return {
            "file": CURVE_FILE,
            "columns": list(CURVE_COLUMNS),
            "interval_ms": self._sampler.interval_s * 1e3,
            "points": len(self._sampler),
            # How far below the true peak the curve's highest point is.
            "missed_bytes": max(max(peaks) - highest, 0) if peaks and highest is not None else None,
        }


def _plain(phase: Phase) -> dict[str, Any]:
    host = phase.host
    return {
        "name": phase.name,
        "host_peak_bytes": phase.host_peak,
        "host_resident_bytes": None if host is None else host.resident,
        "method": phase.method,
        "gpu_peak_bytes": phase.gpu.get("peak_bytes"),
        "gpu_method": phase.gpu.get("method"),
        "in_use_peak_bytes": phase.in_use_peak,
        "seconds": list(phase.seconds),
    }
