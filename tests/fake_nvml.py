"""A stand-in for pynvml: the functions that are used, with NVML's own ways to fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

NOT_SUPPORTED, GPU_IS_LOST, LIBRARY_NOT_FOUND, NOT_FOUND = 3, 15, 12, 6
_WORDS = {
    NOT_SUPPORTED: "Not Supported",
    GPU_IS_LOST: "GPU is lost",
    LIBRARY_NOT_FOUND: "NVML Shared Library Not Found",
    NOT_FOUND: "Not Found",
}


class FakeNvmlError(Exception):
    """What NVML raises: a number with words."""

    def __init__(self, value: int) -> None:
        self.value = value
        super().__init__(_WORDS.get(value, f"error {value}"))


class FakeNvml:
    """A machine with GPUs of 8 GB, as NVML tells it.

    Attributes:
        gpus: How many; None has no driver.
        missing: Functions that this driver does not support.
        lost: Whether the GPU has fallen off the bus.
        pids: Processes on the GPU.
        watts: Its power; the energy counter goes by the clock with it.
        calls: Names of the functions that were called.
    """

    NVMLError = FakeNvmlError
    NVML_ERROR_GPU_IS_LOST = GPU_IS_LOST

    def __init__(
        self,
        gpus: int | None = 1,
        *,
        missing: tuple[str, ...] = (),
        pids: tuple[int, ...] = (),
        mig: bool = False,
        cuda: int = 12040,
    ) -> None:
        self.gpus, self.missing, self.pids, self.mig, self.cuda = gpus, missing, pids, mig, cuda
        self.lost = False
        self.watts: Callable[[], float] | float = 100.0
        self.throttling = 0x1
        self.calls: list[str] = []
        self._energy_mj, self._since = 5e6, time.perf_counter()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("nvml"):
            return found
        return lambda *arguments: self._answered(name, found, arguments)

    def _answered(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        self.calls.append(name)
        if self.gpus is None:
            raise FakeNvmlError(LIBRARY_NOT_FOUND)
        if self.lost and name.startswith("nvmlDevice"):
            raise FakeNvmlError(GPU_IS_LOST)
        if name in self.missing:
            raise FakeNvmlError(NOT_SUPPORTED)
        return function(*arguments)

    def nvmlInit(self) -> None:  # noqa: N802
        """Starts NVML."""

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self.gpus or 0

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "550.54"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:  # noqa: N802
        return self.cuda

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index >= (self.gpus or 0):
            raise FakeNvmlError(NOT_FOUND)
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        for number in range(self.gpus or 0):
            if uuid == f"GPU-{number}000-aaaa":
                return number
        raise FakeNvmlError(NOT_FOUND)

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}000-aaaa"

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return "NVIDIA H200"

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:  # noqa: N802
        return [int(self.mig), int(self.mig)]

    def nvmlDeviceGetPersistenceMode(self, handle: int) -> int:  # noqa: N802
        return 1

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:  # noqa: N802
        return {1: 1500, 2: 2600}[kind]

    def nvmlDeviceGetMaxClockInfo(self, handle: int, kind: int) -> int:  # noqa: N802
        return {1: 1980, 2: 3201}[kind]

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:  # noqa: N802
        return 45

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        return int(self._watts() * 1000)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: int) -> int:  # noqa: N802
        return 700_000

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        now = time.perf_counter()
        self._energy_mj += (now - self._since) * self._watts() * 1000
        self._since = now
        return int(self._energy_mj)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:  # noqa: N802
        return self.throttling

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:  # noqa: N802
        return self.throttling

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=12, memory=3)

    def nvmlDeviceGetPerformanceState(self, handle: int) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(total=8_000_000_000, used=1_500_000_000, free=6_500_000_000)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=None) for pid in self.pids]

    def _watts(self) -> float:
        return self.watts() if callable(self.watts) else self.watts
