"""Devices: parsed, applied to TensorFlow and ONNX Runtime, and never silently another one."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from mlflow_tfconv.device import (
    Device,
    DeviceOptions,
    apply_to_tensorflow,
    check_providers,
    driver_state,
    onnxruntime_providers,
    onnxruntime_session_options,
    proved_onnxruntime,
    require_gpus,
)
from mlflow_tfconv.errors import ConfigError, DeviceError

ALL_PROVIDERS = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


class NvmlError(Exception):
    """What the fake raises."""


def fake_nvml(gpus: int | None) -> Any:
    """A pynvml with so many GPUs; None has no driver."""

    def init() -> None:
        if gpus is None:
            raise NvmlError("NVML Shared Library Not Found")

    return SimpleNamespace(
        NVMLError=NvmlError,
        nvmlInit=init,
        nvmlDeviceGetCount=lambda: gpus,
        nvmlSystemGetDriverVersion=lambda: "550.54",
    )


class FakeTensorFlow:
    """Records what it is told."""

    __version__ = "2.21.0"

    def __init__(self, gpus: int, started: bool = False) -> None:
        self.told: list[Any] = []
        names = [SimpleNamespace(name=f"GPU:{n}") for n in range(gpus)]
        self.sysconfig = SimpleNamespace(get_build_info=lambda: {"cuda_version": "12.5.1"})

        def tell(*what: Any) -> None:
            if started:
                raise RuntimeError("Visible devices cannot be modified after being initialized")
            self.told.append(what)

        self.config = SimpleNamespace(
            list_physical_devices=lambda kind: names,
            set_visible_devices=lambda devices, kind: tell("visible", [d.name for d in devices]),
            set_logical_device_configuration=lambda gpu, limits: tell("limit", gpu.name, *limits),
            LogicalDeviceConfiguration=lambda memory_limit: memory_limit,
            experimental=SimpleNamespace(
                set_memory_growth=lambda gpu, grows: tell("growth", gpu.name, grows)
            ),
            threading=SimpleNamespace(
                set_intra_op_parallelism_threads=lambda n: tell("intra", n),
                set_inter_op_parallelism_threads=lambda n: tell("inter", n),
            ),
        )


@pytest.fixture
def tensorflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a fake TensorFlow in place; the environment it sets is restored."""
    for name in ("TF_GPU_ALLOCATOR", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.setenv(name, "")

    def put(gpus: int, started: bool = False) -> FakeTensorFlow:
        fake = FakeTensorFlow(gpus, started)
        monkeypatch.setitem(sys.modules, "tensorflow", fake)
        return fake

    return put


def test_the_cpu_hides_the_gpus_from_tensorflow_and_sets_its_threads(tensorflow: Any) -> None:
    fake = tensorflow(gpus=2)
    options = DeviceOptions(intra_op_threads=3, inter_op_threads=1)
    assert apply_to_tensorflow(Device(options=options)) == "/CPU:0"
    assert fake.told == [("intra", 3), ("inter", 1), ("visible", [])]


def test_the_cpu_can_be_asked_for_after_tensorflow_has_started(tensorflow: Any) -> None:
    tensorflow(gpus=1, started=True)
    assert apply_to_tensorflow(Device()) == "/CPU:0"


def test_a_gpu_is_made_visible_and_grows(tensorflow: Any) -> None:
    fake = tensorflow(gpus=2)
    assert apply_to_tensorflow(Device.parse("cuda:1")) == "/GPU:0"
    assert fake.told == [("visible", ["GPU:1"]), ("growth", "GPU:1", True)]


def test_a_memory_limit_in_mb_becomes_one_in_mib_that_still_grows(tensorflow: Any) -> None:
    fake = tensorflow(gpus=1)
    apply_to_tensorflow(Device.parse("cuda:0", DeviceOptions(memory_limit_mb=4096)))
    assert ("limit", "GPU:0", 3906) in fake.told  # 4096 * 10^6 bytes / 2^20
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_the_allocator_is_named_to_tensorflow(tensorflow: Any) -> None:
    tensorflow(gpus=1)
    apply_to_tensorflow(Device.parse("cuda:0", DeviceOptions(allocator="cuda_malloc_async")))
    assert os.environ["TF_GPU_ALLOCATOR"] == "cuda_malloc_async"


def test_a_gpu_that_tensorflow_does_not_see_is_an_error_that_says_what_it_sees(
    tensorflow: Any,
) -> None:
    tensorflow(gpus=1)
    with pytest.raises(DeviceError) as error:
        apply_to_tensorflow(Device.parse("cuda:1"))
    assert "sees: GPU:0" in str(error.value)
    assert "mlflow-tfconv[gpu]" in str(error.value)


def test_a_gpu_asked_for_after_tensorflow_has_started_is_an_error(tensorflow: Any) -> None:
    tensorflow(gpus=1, started=True)
    with pytest.raises(DeviceError, match="already started"):
        apply_to_tensorflow(Device.parse("cuda:0"))


def test_providers_carry_the_gpu_and_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ALL_PROVIDERS)
    device = Device.parse("tensorrt:1", DeviceOptions(memory_limit_mb=100, memory_growth=False))
    providers = onnxruntime_providers(device)
    assert [name for name, _ in providers] == ALL_PROVIDERS
    assert dict(providers)["CUDAExecutionProvider"] == {
        "device_id": "1",
        "gpu_mem_limit": "100000000",
        "arena_extend_strategy": "kNextPowerOfTwo",
    }


def test_a_build_without_the_provider_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ALL_PROVIDERS[2:])
    with pytest.raises(DeviceError, match="has no provider for cuda:0"):
        onnxruntime_providers(Device.parse("cuda:0"))


def test_a_fallback_to_the_cpu_is_an_error() -> None:
    with pytest.raises(DeviceError, match="fell back to CPUExecutionProvider"):
        check_providers(["CPUExecutionProvider"], Device.parse("cuda:0"))


def test_session_options_take_attributes_enumerations_and_entries() -> None:
    device = Device(options=DeviceOptions(intra_op_threads=2))
    options = onnxruntime_session_options(
        device,
        {"graph_optimization_level": "ORT_DISABLE_ALL", "session.disable_prepacking": "1"},
    )
    assert options.intra_op_num_threads == 2
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert options.get_session_config_entry("session.disable_prepacking") == "1"


def test_an_unknown_session_option_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no such session option"):
        onnxruntime_session_options(Device(), {"speed": "high"})


def test_the_smallest_session_opens_on_the_cpu() -> None:
    proved_onnxruntime(Device())


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(None))
    with pytest.raises(DeviceError, match="no GPU for cuda:0") as error:
        require_gpus(Device.parse("cuda:0"))
    assert "NVML Shared Library Not Found" in str(error.value)
    require_gpus(Device())


def test_a_gpu_beyond_the_last_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(1))
    require_gpus(Device.parse("cuda:0"))
    with pytest.raises(DeviceError, match="cuda:0,1 is not on this machine"):
        require_gpus(Device.parse("cuda:0,1"))
    assert driver_state() == "NVIDIA driver 550.54, 1 GPU"


@pytest.mark.gpu
def test_onnxruntime_opens_a_session_on_a_real_gpu() -> None:
    proved_onnxruntime(Device.parse("cuda:0"))
