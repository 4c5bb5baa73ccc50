"""The state of a GPU at one moment: clocks, heat, power, who else uses it. Nothing is changed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlflow_tfconv.device.visible_gpus import nvml_handle

#: Bits of nvmlClocksEventReasons (nvml.h); their names as `nvidia-smi -q` writes them.
THROTTLE_REASONS = {
    0x1: "idle",
    0x2: "application clocks setting",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake slowdown",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability",
}
_SM, _MEMORY = 1, 2  # nvmlClockType_t
_CORE = 0  # nvmlTemperatureSensors_t
_UVM = "/dev/nvidia-uvm"  # what CUDA opens and NVML does not


def gpu_reading(index: int, nvml: Any = None) -> dict[str, Any]:
    """What NVML tells of GPU `index` as CUDA counts them; what it does not tell is absent.

    Returns:
        name, uuid, driver, mig, persistence, clock_mhz, max_clock_mhz, memory_clock_mhz,
        temperature_c, power_w, power_limit_w, throttle_reasons (texts), utilization_percent,
        performance_state, used_mb, total_mb, processes, others (processes that are not this one);
        "problem" alone when NVML gives nothing: no driver, or a GPU that is lost. Empty without
        pynvml.
    """
    try:
        nvml = nvml or importlib.import_module("pynvml")
    except ImportError:
        return {}
    try:
        nvml.nvmlInit()
        handle = nvml_handle(nvml, index)
    except nvml.NVMLError as e:
        return {"problem": str(e)}
    told: dict[str, Any] = {}
    for name, ask in _QUESTIONS.items():
        try:
            told[name] = ask(nvml, handle)
        except AttributeError:  # an older nvidia-ml-py
            continue
        except nvml.NVMLError as e:
            if _is_lost(nvml, e):
                return {"problem": str(e)}
    return {**told, **_of_processes(nvml, handle)}


def steady_facts(reading: Mapping[str, Any]) -> dict[str, Any]:
    """What of a reading does not change from one moment to the next."""
    names = ("name", "uuid", "driver", "mig", "persistence", "power_limit_w", "total_mb")
    return {name: reading[name] for name in names if name in reading}


def _is_lost(nvml: Any, error: Exception) -> bool:
    codes = ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED", "NVML_ERROR_UNINITIALIZED")
    return getattr(error, "value", None) in [getattr(nvml, code, object()) for code in codes]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _reasons(nvml: Any, handle: Any) -> list[str]:
    """Newer drivers call them reasons of an event, older ones of throttling."""
    for name in (
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    ):
        try:
            bits = int(getattr(nvml, name)(handle))
        except (AttributeError, nvml.NVMLError) as e:
            failure = e
            continue
        return [text for bit, text in THROTTLE_REASONS.items() if bits & bit]
    raise failure


_QUESTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "name": lambda nvml, gpu: _text(nvml.nvmlDeviceGetName(gpu)),
    "uuid": lambda nvml, gpu: _text(nvml.nvmlDeviceGetUUID(gpu)),
    "driver": lambda nvml, _: _text(nvml.nvmlSystemGetDriverVersion()),
    "mig": lambda nvml, gpu: bool(nvml.nvmlDeviceGetMigMode(gpu)[0]),
    "persistence": lambda nvml, gpu: bool(nvml.nvmlDeviceGetPersistenceMode(gpu)),
    "clock_mhz": lambda nvml, gpu: int(nvml.nvmlDeviceGetClockInfo(gpu, _SM)),
    "max_clock_mhz": lambda nvml, gpu: int(nvml.nvmlDeviceGetMaxClockInfo(gpu, _SM)),
    "memory_clock_mhz": lambda nvml, gpu: int(nvml.nvmlDeviceGetClockInfo(gpu, _MEMORY)),
    "temperature_c": lambda nvml, gpu: int(nvml.nvmlDeviceGetTemperature(gpu, _CORE)),
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    "throttle_reasons": _reasons,
    "utilization_percent": lambda nvml, gpu: int(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
    "performance_state": lambda nvml, gpu: f"P{int(nvml.nvmlDeviceGetPerformanceState(gpu))}",
    "used_mb": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used / 1e6,
    "total_mb": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total / 1e6,
}


def _of_processes(nvml: Any, handle: Any) -> dict[str, int]:
    try:
        found = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except (nvml.NVMLError, AttributeError):
        return {}
    numbers = {int(process.pid) for process in found}
    # A container gives this process another number than the driver's: one of them is it, then.
    own = os.getpid() in numbers or (bool(numbers) and _uses_cuda())
    return {"processes": len(found), "others": len(found) - own}


def _uses_cuda() -> bool:
    """Whether this process has started CUDA."""
    try:
        opened = list(Path("/proc/self/fd").iterdir())
    except OSError:
        return False
    return any(_target(file) == _UVM for file in opened)


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # closed meanwhile
        return ""
