from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.device import Device, driver_state, gpu_state, require_gpus
from mlflow_tfconv.errors import DeviceError


def test_a_machine_without_a_driver_has_no_gpu(nvml: Any) -> None:
    nvml(None)
    with pytest.raises(DeviceError, match="no GPU for cuda:0") as error:
        require_gpus(Device.parse("cuda:0"))
    assert "NVML Shared Library Not Found" in str(error.value)
    assert gpu_state(0) is None
    require_gpus(Device())


def test_a_gpu_beyond_the_last_is_an_error(nvml: Any) -> None:
    nvml(1)
    require_gpus(Device.parse("cuda:0"))
    with pytest.raises(DeviceError, match="cuda:0,1 is not on this machine"):
        require_gpus(Device.parse("cuda:0,1"))
    assert driver_state() == "NVIDIA driver 550.54, 1 GPU"


def test_the_memory_of_a_gpu_is_told_in_mb(nvml: Any) -> None:
    nvml(1)
    state = gpu_state(0)
    assert state is not None
    assert (state.total_mb, state.used_mb, state.free_mb) == (8000, 1500, 6500)
