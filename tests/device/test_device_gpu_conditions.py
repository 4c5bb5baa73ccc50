"""The state of a GPU, as far as NVML tells it, and nothing changed on it."""

from __future__ import annotations

import os
from typing import Any

import pytest

from mlflow_tfconv.device import gpu_reading, steady_facts


def test_the_state_of_a_gpu_is_read(nvml: Any) -> None:
    nvml(1)
    told = gpu_reading(0)
    assert (told["name"], told["driver"], told["power_w"]) == ("NVIDIA H200", "550.54", 100)
    assert (told["clock_mhz"], told["max_clock_mhz"], told["temperature_c"]) == (1500, 1980, 45)
    assert (told["performance_state"], told["mig"], told["others"]) == ("P0", False, 0)
    assert set(steady_facts(told)) >= {"name", "driver", "persistence", "power_limit_w"}


def test_nothing_is_changed_on_the_card(nvml: Any) -> None:
    fake = nvml(1)
    gpu_reading(0)
    assert all("Get" in name or name == "nvmlInit" for name in fake.calls)


def test_reasons_for_lower_clocks_are_named(nvml: Any) -> None:
    nvml(1).throttling = 0x4 | 0x40
    assert gpu_reading(0)["throttle_reasons"] == ["software power cap", "hardware thermal slowdown"]


def test_an_older_driver_is_asked_by_the_older_name(nvml: Any) -> None:
    nvml(1, missing=("nvmlDeviceGetCurrentClocksEventReasons",)).throttling = 0x8
    assert gpu_reading(0)["throttle_reasons"] == ["hardware slowdown"]


def test_what_the_driver_does_not_support_is_absent(nvml: Any) -> None:
    nvml(1, missing=("nvmlDeviceGetPowerUsage", "nvmlDeviceGetMigMode"))
    told = gpu_reading(0)
    assert "power_w" not in told
    assert "mig" not in told
    assert told["temperature_c"] == 45


@pytest.mark.parametrize(
    ("pids", "others"), [((), 0), ((os.getpid(),), 0), ((os.getpid(), 7), 1), ((7,), 1)]
)
def test_other_processes_are_counted(nvml: Any, pids: tuple[int, ...], others: int) -> None:
    nvml(1, pids=pids)
    assert gpu_reading(0)["others"] == others


def test_a_container_that_hides_ids_has_this_process_among_them(
    nvml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow_tfconv.device.gpu_conditions._uses_cuda", lambda: True)
    nvml(1, pids=(4_000_001,))
    assert gpu_reading(0)["others"] == 0


def test_a_gpu_that_is_lost_says_so(nvml: Any) -> None:
    nvml(1).lost = True
    assert gpu_reading(0) == {"problem": "GPU is lost"}


def test_without_a_driver_the_problem_is_told(nvml: Any) -> None:
    nvml(None)
    assert gpu_reading(0) == {"problem": "NVML Shared Library Not Found"}


@pytest.mark.gpu
def test_a_real_gpu_tells_its_state() -> None:
    pytest.importorskip("pynvml")
    told = gpu_reading(0)
    assert told["name"]
    assert told["total_mb"] > told["used_mb"] > 0
    assert told["clock_mhz"] <= told["max_clock_mhz"]
