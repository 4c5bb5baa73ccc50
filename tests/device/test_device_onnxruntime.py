"""ONNX Runtime on the device that was asked for, and never silently on another one."""

from __future__ import annotations

import onnxruntime
import pytest

from mlflow_tfconv.device import (
    Device,
    DeviceOptions,
    check_providers,
    onnxruntime_in_force,
    onnxruntime_providers,
    onnxruntime_session,
    onnxruntime_session_options,
    proved_onnxruntime,
)
from mlflow_tfconv.device.on_onnxruntime import _IDENTITY
from mlflow_tfconv.errors import ConfigError, DeviceError

ALL_PROVIDERS = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


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


@pytest.mark.gpu
def test_onnxruntime_opens_a_session_on_a_real_gpu() -> None:
    proved_onnxruntime(Device.parse("cuda:0"))


def test_a_session_says_what_is_in_force() -> None:
    device = Device(options=DeviceOptions(intra_op_threads=2))
    session = onnxruntime_session(_IDENTITY, device)
    text = onnxruntime_in_force(session)
    assert "computes with CPUExecutionProvider: intra-op-threads 2; inter-op-threads as" in text
