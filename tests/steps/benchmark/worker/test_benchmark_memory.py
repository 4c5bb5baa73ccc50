"""Memory: the host's peak from /proc, the GPU's from a fake NVML where there is no GPU."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.worker.memory import (
    host_peak_bytes,
    host_resident_bytes,
    opened_gpu_memory,
)


class NvmlError(Exception):
    """What the fake raises."""


class FakeNvml:
    """A GPU whose memory the test sets."""

    NVMLError = NvmlError

    def __init__(self, pid: int, driver: bool = True) -> None:
        self.used, self.process, self.pid, self.driver = 1000, 0, pid, driver
        self.asked: list[Any] = []

    def nvmlInit(self) -> None:  # noqa: N802 (pynvml's name)
        if not self.driver:
            raise NvmlError("no driver")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        self.asked.append(index)
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.asked.append(uuid)
        return uuid

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:  # noqa: N802
        return SimpleNamespace(used=self.used)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=self.pid, usedGpuMemory=self.process)]


def test_the_peak_of_the_host_stays_when_memory_is_given_back() -> None:
    before = host_peak_bytes()
    block = np.ones(30_000_000, np.uint8)
    del block
    peak, resident = host_peak_bytes(), host_resident_bytes()
    assert before is not None
    assert peak is not None
    assert resident is not None
    assert peak >= before
    assert peak >= resident


def test_gpu_memory_is_that_of_the_process_where_nvml_tells_it() -> None:
    nvml = FakeNvml(os.getpid())
    memory = opened_gpu_memory(0, nvml)
    assert memory is not None
    nvml.used, nvml.process = 9000, 5000
    memory.look()
    nvml.used, nvml.process = 3000, 1000
    memory.look()
    assert memory.peak() == {"peak_bytes": 5000, "method": "nvml_process"}


def test_gpu_memory_is_the_growth_of_the_device_where_a_container_hides_processes() -> None:
    nvml = FakeNvml(pid=0)
    memory = opened_gpu_memory(0, nvml)
    assert memory is not None
    nvml.used = 9000
    memory.look()
    assert memory.peak() == {"peak_bytes": 8000, "method": "nvml_device_delta"}


def test_gpu_memory_that_was_never_seen_is_not_zero_but_unknown() -> None:
    memory = opened_gpu_memory(0, FakeNvml(pid=0))
    assert memory is not None
    memory.look()
    assert memory.peak() == {}


def test_without_a_driver_there_is_no_reader() -> None:
    assert opened_gpu_memory(0, FakeNvml(0, driver=False)) is None


@pytest.mark.parametrize(("visible", "asked"), [("3,1", 1), ("GPU-a,GPU-b", "GPU-b"), ("", 1)])
def test_cuda_visible_devices_renumbers_the_gpus(
    monkeypatch: pytest.MonkeyPatch, visible: str, asked: Any
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    nvml = FakeNvml(0)
    opened_gpu_memory(1, nvml)
    assert nvml.asked == [asked]
