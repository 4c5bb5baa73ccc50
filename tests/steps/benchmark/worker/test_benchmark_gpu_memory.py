"""Memory of a GPU, from a fake NVML: of the process, or of the device when nobody else used it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.worker.gpu_memory import GpuMemory, opened_gpu_memory
from mlflow_tfconv.steps.benchmark.worker.memory_watch import MemoryWatch

_MB = 1_000_000


class NvmlError(Exception):
    """What the fake raises."""


class FakeNvml:
    """A GPU whose memory the test sets."""

    NVMLError = NvmlError

    def __init__(self, processes: dict[int, int | None] | None = None, driver: bool = True) -> None:
        self.used, self.processes, self.driver = 100 * _MB, dict(processes or {}), driver
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
        if not self.driver:
            raise NvmlError("GPU is lost")
        return SimpleNamespace(used=self.used, total=8000 * _MB)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=p, usedGpuMemory=m) for p, m in self.processes.items()]


def opened(nvml: FakeNvml) -> GpuMemory:
    """A reader that must be there."""
    memory = opened_gpu_memory(0, nvml)
    assert memory is not None
    return memory


def test_gpu_memory_is_that_of_the_process_where_nvml_tells_it() -> None:
    nvml = FakeNvml({7: 50 * _MB})
    memory = opened(nvml)
    nvml.used, nvml.processes = 900 * _MB, {7: 350 * _MB, os.getpid(): 500 * _MB}
    memory.look()
    nvml.processes[os.getpid()] = 100 * _MB
    memory.look()
    assert memory.peak() == {"peak_bytes": 500 * _MB, "method": "nvml_process"}


def test_a_container_may_give_the_process_another_number() -> None:
    nvml = FakeNvml({7: 50 * _MB})
    memory = opened(nvml)
    nvml.used, nvml.processes = 600 * _MB, {7: 50 * _MB, 4711: 500 * _MB}
    memory.look()
    assert memory.peak() == {"peak_bytes": 500 * _MB, "method": "nvml_new_process"}


@pytest.mark.parametrize("processes", [{}, {os.getpid(): 0}, {os.getpid(): None}])
def test_where_nvml_tells_no_sizes_it_is_the_growth_of_the_device(
    processes: dict[int, int | None],
) -> None:
    nvml = FakeNvml()
    memory = opened(nvml)
    nvml.used, nvml.processes = 900 * _MB, processes
    memory.look()
    memory.quiet()
    assert memory.peak() == {"peak_bytes": 800 * _MB, "method": "nvml_device_delta"}


@pytest.mark.parametrize(
    ("later", "why"),
    [
        ({7: 90 * _MB}, "process 7 took more or less than before"),
        ({}, "process 7 left"),
        ({7: 50 * _MB, 8: None, 9: None}, "process 9 came"),
    ],
)
def test_the_growth_of_a_device_that_others_used_is_no_result(
    later: dict[int, int | None], why: str
) -> None:
    nvml = FakeNvml({7: 50 * _MB})
    memory = opened(nvml)
    nvml.used, nvml.processes = 900 * _MB, later
    memory.look()
    assert memory.peak() == {"method": "nvml_device_delta_not_sole_user", "others": [why]}


def test_an_idle_neighbour_does_not_spoil_the_growth_of_the_device() -> None:
    nvml = FakeNvml({7: 50 * _MB})
    memory = opened(nvml)
    nvml.used = 300 * _MB
    memory.look()
    assert memory.peak() == {"peak_bytes": 200 * _MB, "method": "nvml_device_delta"}


def test_use_that_changes_while_the_process_rests_is_that_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nvml = FakeNvml()
    memory = opened(nvml)
    nvml.used = 300 * _MB
    memory.look()
    monkeypatch.setattr("time.sleep", lambda _: setattr(nvml, "used", 700 * _MB))
    memory.quiet()
    assert "peak_bytes" not in memory.peak()


def test_each_phase_has_a_peak_of_its_own() -> None:
    nvml = FakeNvml()
    memory = opened(nvml)
    nvml.used = 900 * _MB
    memory.look()
    assert memory.peak_since()["peak_bytes"] == 800 * _MB
    nvml.used = 400 * _MB
    memory.glance()
    assert memory.peak_since()["peak_bytes"] == 300 * _MB
    assert memory.peak()["peak_bytes"] == 800 * _MB


def test_a_watch_reads_the_gpu_with_each_phase_and_on_the_curve(
    tmp_path: Path, wait_for_a_look: Callable[[Any], None]
) -> None:
    nvml = FakeNvml()
    watch = MemoryWatch(gpu=opened(nvml), interval_s=0.001)
    watch.begin()
    for name, used in (("load", 400), ("b1", 900)):
        with watch.phase(name):
            nvml.used = used * _MB
            wait_for_a_look(watch._sampler)
    told = watch.told(tmp_path)
    assert [phase["gpu_peak_bytes"] for phase in told["phases"]] == [300 * _MB, 800 * _MB]
    assert told["gpu"]["peak_bytes"] == 800 * _MB
    assert told["gpu"]["total_bytes"] == 8000 * _MB
    assert np.nanmax(np.load(tmp_path / told["curve"]["file"])[:, 3]) == 800


def test_gpu_memory_that_was_never_seen_is_not_zero_but_unknown() -> None:
    memory = opened(FakeNvml())
    memory.look()
    assert memory.peak() == {}


def test_a_gpu_that_is_lost_has_no_further_readings() -> None:
    nvml = FakeNvml()
    memory = opened(nvml)
    nvml.used = 900 * _MB
    memory.look()
    nvml.driver = False
    memory.look()
    memory.quiet()
    assert memory.glance() is None
    assert memory.peak()["peak_bytes"] == 800 * _MB


def test_without_a_driver_there_is_no_reader() -> None:
    assert opened_gpu_memory(0, FakeNvml(driver=False)) is None


@pytest.mark.parametrize(("visible", "asked"), [("3,1", 1), ("GPU-a,GPU-b", "GPU-b"), ("", 1)])
def test_cuda_visible_devices_renumbers_the_gpus(
    monkeypatch: pytest.MonkeyPatch, visible: str, asked: Any
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    nvml = FakeNvml()
    opened_gpu_memory(1, nvml)
    assert nvml.asked == [asked]
