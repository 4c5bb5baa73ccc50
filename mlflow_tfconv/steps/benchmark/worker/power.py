"""What a GPU takes from the wall: by its counter of energy, or else by its power now and then."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlflow_tfconv.device import nvml_handle
from mlflow_tfconv.errors import DeviceError

COUNTER, SAMPLES = "nvml_total_energy", "nvml_power_samples"
_EVERY_S = 0.01  # how often NVML is asked; each time takes it some ten microseconds
_TICK_LIMIT_S = 0.5  # the counter goes on every 20 to 100 ms
#: On GPUs from Ampere on `nvmlDeviceGetPowerUsage` is the average of the last second (nvml.h).
_AVERAGED_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Energy over a stretch of time.

    Attributes:
        joules: Of the whole GPU, whoever used it.
        seconds: How long.
        calls: What was done meanwhile.
        method: "nvml_total_energy" | "nvml_power_samples".
    """

    joules: float
    seconds: float
    calls: int
    method: str

    @property
    def watts(self) -> float:
        """The mean power."""
        return self.joules / self.seconds


@dataclass(slots=True)
class PowerMeter:
    """Measures one GPU.

    Attributes:
        nvml: The module pynvml, or one like it.
        handle: NVML's handle of the GPU.
    """

    nvml: Any
    handle: Any
    _counts: bool = field(default=True)

    def spent(self, call: Callable[[], object], seconds: float) -> Spent:
        """Makes calls for at least so long, and tells what the GPU took meanwhile.

        Both ends lie where the counter has just gone on, while the calls go on: so the energy and
        the calls are those of the same time. Without a counter the power is added up (trapezoids).

        Raises:
            DeviceError: NVML tells neither, or the GPU is gone.
        """
        try:
            if self._counts:
                found = self._by_counter(call, seconds)
                if found is not None:
                    return found
                self._counts = False
            return self._by_samples(call, seconds)
        except self.nvml.NVMLError as e:
            raise DeviceError("The GPU's energy can't be measured.", received=f"NVML: {e}") from e

    def _by_counter(self, call: Callable[[], object], seconds: float) -> Spent | None:
        try:
            self._millijoules()
        except (self.nvml.NVMLError, AttributeError) as e:
            if _is_gone(self.nvml, e):
                raise
            return None
        begin = self._at_next_tick(call)
        if begin is None:
            return None  # it stands still
        calls = _called_for(call, seconds)
        end = self._at_next_tick(call)
        if end is None:
            return None
        return Spent(
            joules=(end[1] - begin[1]) / 1e3,
            seconds=end[0] - begin[0],
            calls=calls + end[2],
            method=COUNTER,
        )

    def _at_next_tick(self, call: Callable[[], object]) -> tuple[float, int, int] | None:
        """Time and counter when it has just gone on, and the calls made until then."""
        before, calls, started = self._millijoules(), 0, time.perf_counter()
        while time.perf_counter() - started < _TICK_LIMIT_S:
            calls += _called_for(call, _EVERY_S)
            now = self._millijoules()
            if now != before:
                return time.perf_counter(), now, calls
        return None

    def _by_samples(self, call: Callable[[], object], seconds: float) -> Spent:
        _called_for(call, _AVERAGED_S)
        joules, calls = 0.0, 0
        started = before = time.perf_counter()
        watts = self._watts()
        while before - started < seconds:
            calls += _called_for(call, _EVERY_S)
            now, then = time.perf_counter(), self._watts()
            joules += (watts + then) / 2 * (now - before)
            before, watts = now, then
        return Spent(joules=joules, seconds=before - started, calls=calls, method=SAMPLES)

    def _millijoules(self) -> int:
        return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle))

    def _watts(self) -> float:
        return float(self.nvml.nvmlDeviceGetPowerUsage(self.handle)) / 1e3


def power_meter(index: int, nvml: Any = None) -> PowerMeter:
    """A meter for GPU `index` as CUDA counts them.

    Raises:
        DeviceError: There is no pynvml or no driver, or it is a part of a GPU, whose energy nobody
            tells.
    """
    try:
        nvml = nvml or importlib.import_module("pynvml")
    except ImportError as e:
        raise DeviceError("Energy is told by NVML only, and nvidia-ml-py is not installed.") from e
    try:
        nvml.nvmlInit()
        handle = nvml_handle(nvml, index)
        divided = _is_divided(nvml, handle)
    except nvml.NVMLError as e:
        raise DeviceError("The GPU's energy can't be measured.", received=f"NVML: {e}") from e
    if divided:
        raise DeviceError(
            "The energy of a part of a GPU (MIG) is told by nobody.",
            received="a GPU in MIG mode",
            expected="a whole GPU",
        )
    return PowerMeter(nvml, handle)


def _is_divided(nvml: Any, handle: Any) -> bool:
    """A GPU that knows nothing of MIG is whole."""
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except AttributeError:
        return False
    except nvml.NVMLError as e:
        if _is_gone(nvml, e):
            raise
        return False


def _called_for(call: Callable[[], object], seconds: float) -> int:
    """How often it was called: at least once."""
    end, calls = time.perf_counter() + seconds, 0
    while True:
        call()
        calls += 1
        if time.perf_counter() >= end:
            return calls


def _is_gone(nvml: Any, error: Exception) -> bool:
    codes = ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED")
    return getattr(error, "value", None) in [getattr(nvml, code, object()) for code in codes]
