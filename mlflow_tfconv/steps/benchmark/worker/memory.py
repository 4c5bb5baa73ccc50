"""Reads how much memory this process holds, on the host and on a GPU. Needs nothing."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.device import nvml_handle


def host_peak_bytes() -> int | None:
    """The largest resident memory of this process so far; None where there is no /proc.

    VmHWM starts anew with every exec'd process; getrusage's maximum is inherited from the parent.
    """
    return _status_bytes("VmHWM")


def host_resident_bytes() -> int | None:
    """The resident memory of this process now; None where there is no /proc."""
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int | None:
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


@dataclass(slots=True)
class GpuMemory:
    """The memory that this process takes on one GPU, told by NVML.

    Where a container hides process ids the whole device's growth since `opened` stands for it.

    Attributes:
        nvml: The module pynvml, or one like it.
        handle: NVML's handle of the GPU.
        used_before: Bytes in use on the device before this process touched it.
    """

    nvml: Any
    handle: Any
    used_before: int
    _peak_process: int = 0
    _peak_device: int = 0
    _pid: int = field(default_factory=os.getpid)

    def look(self) -> None:
        """Takes a reading; runtimes keep what they have taken, so one after a run is its peak."""
        used = int(self.nvml.nvmlDeviceGetMemoryInfo(self.handle).used)
        self._peak_device = max(self._peak_device, used - self.used_before)
        for process in self.nvml.nvmlDeviceGetComputeRunningProcesses(self.handle):
            if process.pid == self._pid:
                self._peak_process = max(self._peak_process, process.usedGpuMemory or 0)

    def peak(self) -> dict[str, Any]:
        """`peak_bytes` and `method`: "nvml_process" or "nvml_device_delta"; empty if unknown."""
        if self._peak_process:
            return {"peak_bytes": self._peak_process, "method": "nvml_process"}
        if self._peak_device > 0:
            return {"peak_bytes": self._peak_device, "method": "nvml_device_delta"}
        return {}


def opened_gpu_memory(index: int, nvml: Any = None) -> GpuMemory | None:
    """A reader for GPU `index` as CUDA counts them; None without pynvml or without a driver."""
    try:
        nvml = nvml or importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        handle = nvml_handle(nvml, index)
        return GpuMemory(nvml, handle, int(nvml.nvmlDeviceGetMemoryInfo(handle).used))
    except nvml.NVMLError:
        return None
