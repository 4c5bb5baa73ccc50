from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.device import Device, driver_state, gpu_state, nvml_handle, require_gpus
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


def test_the_driver_says_which_cuda_it_can_run(nvml: Any) -> None:
    nvml(1)
    assert driver_state() == "NVIDIA driver 550.54 (CUDA up to 12.4), 1 GPU"


def test_a_driver_that_does_not_say_which_cuda_is_still_told(nvml: Any) -> None:
    nvml(2, missing=("nvmlSystemGetCudaDriverVersion_v2",))
    assert driver_state() == "NVIDIA driver 550.54, 2 GPUs"


@pytest.mark.parametrize(
    ("variable", "shown"), [("", "none"), ("-1", "none"), ("1", "1"), ("1,7,0", "1"), ("0,0", "1")]
)
def test_gpus_that_a_variable_hides_are_told_as_hidden(
    nvml: Any, monkeypatch: pytest.MonkeyPatch, variable: str, shown: str
) -> None:
    nvml(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    with pytest.raises(DeviceError, match="hidden by the environment") as error:
        require_gpus(Device.parse("cuda:1"))
    assert f"leaves {shown} of 2 GPUs" in str(error.value)


@pytest.mark.parametrize(("variable", "handle"), [("1,0", 1), ("GPU-1000-aaaa", 1), ("GPU-1", 1)])
def test_numbers_are_those_of_cuda(
    nvml: Any, monkeypatch: pytest.MonkeyPatch, variable: str, handle: int
) -> None:
    fake = nvml(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert nvml_handle(fake, 0) == handle


def test_the_memory_of_a_gpu_is_told_in_mb(nvml: Any) -> None:
    nvml(1)
    state = gpu_state(0)
    assert state is not None
    assert (state.total_mb, state.used_mb, state.free_mb) == (8000, 1500, 6500)
