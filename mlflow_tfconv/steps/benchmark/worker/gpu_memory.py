"""The memory that this process takes on a GPU, as NVML tells it."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow_tfconv.device import nvml_handle
from mlflow_tfconv.steps.benchmark.worker.host_memory import children_of

PROCESS, NEW_PROCESS, DEVICE = "nvml_process", "nvml_new_process", "nvml_device_delta"
#: What the device's growth is called when another process used it too: it is no result then.
NOT_SOLE_USER = "nvml_device_delta_not_sole_user"
_QUIET_S = 0.05
_STEADY_BYTES = 1 << 20  # NVML counts in pages of 2 MiB at the most: less is no change


@dataclass(slots=True)
class GpuMemory:
    """The memory that this process takes on one GPU.

    NVML tells it for each process. A container hides process ids: then there is one process that
    was not there before, or the memory of all is 0, and what the whole device's use has grown by
    stands for this process, provided that nobody else's use changed meanwhile.

    Attributes:
        nvml: The module pynvml, or one like it.
        handle: NVML's handle of the GPU.
        total: Bytes that the GPU has.
        used_before: Bytes in use on the device before this process touched it.
        others_before: Process id to bytes, of those that used the device then.
    """

    nvml: Any
    handle: Any
    total: int | None
    used_before: int
    others_before: Mapping[int, int | None]
    _peaks: dict[str, int] = field(default_factory=dict)
    _since: dict[str, int] = field(default_factory=dict)
    _meddlers: set[str] = field(default_factory=set)
    _pid: int = field(default_factory=os.getpid)

    def glance(self) -> int | None:
        """The bytes that the device's use has grown by: quick enough for a curve; None if unknown."""
        try:
            grown = self._used() - self.used_before
        except self.nvml.NVMLError:
            return None
        self._keep(DEVICE, grown)
        return max(grown, 0)

    def look(self) -> None:
        """Takes a reading by every method; one that NVML refuses is none."""
        try:
            grown, processes = self._used() - self.used_before, _processes(self.nvml, self.handle)
        except self.nvml.NVMLError:
            return
        mine = {self._pid, *children_of(self._pid)}
        new = [pid for pid in processes if pid not in self.others_before and pid not in mine]
        own = sum(processes.get(pid) or 0 for pid in mine)
        self._keep(DEVICE, grown)
        self._keep(PROCESS, own)
        if len(new) == 1 and not own:  # a container may give this process another number
            self._keep(NEW_PROCESS, processes[new[0]] or 0)
        self._watch_others(processes, new[1:] if self._pid not in processes else new)

    def _keep(self, method: str, value: int) -> None:
        for peaks in (self._peaks, self._since):
            peaks[method] = max(peaks.get(method, 0), value)

    def quiet(self) -> None:
        """Watches for a moment in which this process does nothing: others then show."""
        try:
            before = self._used()
            time.sleep(_QUIET_S)
            moved = abs(self._used() - before)
        except self.nvml.NVMLError:
            return
        if moved > _STEADY_BYTES:
            self._meddlers.add("use of the device changed while this process rested")

    def peak(self) -> dict[str, Any]:
        """`peak_bytes` and `method`; of a device that others used only the method and why."""
        return self._told(self._peaks)

    def peak_since(self) -> dict[str, Any]:
        """The same since this was last asked."""
        told, self._since = self._told(self._since), {}
        return told

    def _told(self, peaks: Mapping[str, int]) -> dict[str, Any]:
        for method in (PROCESS, *(() if self._meddlers else (NEW_PROCESS,))):
            if peaks.get(method):
                return {"peak_bytes": peaks[method], "method": method}
        if peaks.get(DEVICE, 0) <= 0:
            return {}
        if self._meddlers:
            return {"method": NOT_SOLE_USER, "others": sorted(self._meddlers)}
        return {"peak_bytes": peaks[DEVICE], "method": DEVICE}

    def _watch_others(self, processes: Mapping[int, int | None], strangers: list[int]) -> None:
        """Whoever came, went or changed: the growth of the device is not this process's alone."""
        self._meddlers.update(f"process {pid} came" for pid in strangers)
        for pid, before in self.others_before.items():
            if pid not in processes:
                self._meddlers.add(f"process {pid} left")
            elif abs((processes[pid] or 0) - (before or 0)) > _STEADY_BYTES:
                self._meddlers.add(f"process {pid} took more or less than before")

    def _used(self) -> int:
        return int(self.nvml.nvmlDeviceGetMemoryInfo(self.handle).used)


def _processes(nvml: Any, handle: Any) -> dict[int, int | None]:
    """Process id to the bytes it takes, None where the driver does not tell them."""
    found = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    return {int(process.pid): process.usedGpuMemory for process in found}


def opened_gpu_memory(index: int, nvml: Any = None) -> GpuMemory | None:
    """A reader for GPU `index` as CUDA counts them; None without pynvml or without a driver."""
    try:
        nvml = nvml or importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        handle = nvml_handle(nvml, index)
        info = nvml.nvmlDeviceGetMemoryInfo(handle)
        return GpuMemory(
            nvml,
            handle,
            total=int(info.total) if getattr(info, "total", None) else None,
            used_before=int(info.used),
            others_before=_processes(nvml, handle),
        )
    except nvml.NVMLError:
        return None
