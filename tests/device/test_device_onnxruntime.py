"""ONNX Runtime on the device that was asked for, and never silently on another one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

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
from mlflow_tfconv.device.nvidia_libraries import looked_up
from mlflow_tfconv.device.on_onnxruntime import _IDENTITY
from mlflow_tfconv.device.provider_options import provider_options, provider_options_in_force
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


def options_of(text: str, **options: Any) -> dict[str, dict[str, str]]:
    device = Device.parse(text, DeviceOptions(**options))
    return {name: provider_options(name, device) for name in ALL_PROVIDERS}


def test_the_arena_grows_as_asked_for_or_as_memory_does() -> None:
    key = "arena_extend_strategy"
    chosen = options_of("cuda:0", arena_strategy="next_power_of_two")["CUDAExecutionProvider"]
    assert chosen[key] == "kNextPowerOfTwo"
    assert options_of("cuda:0")["CUDAExecutionProvider"][key] == "kSameAsRequested"


def test_tf32_and_cuda_graphs_go_to_the_provider_of_cuda() -> None:
    chosen = options_of("cuda:0", tf32=False, cuda_graphs=True)["CUDAExecutionProvider"]
    assert (chosen["use_tf32"], chosen["enable_cuda_graph"]) == ("0", "1")
    assert "use_tf32" not in options_of("cuda:0")["CUDAExecutionProvider"]


def test_tensorrt_gets_float16_and_a_folder_for_its_engines(tmp_path: Path) -> None:
    told = options_of(
        "tensorrt:0", float16=True, cuda_graphs=True, engine_cache=str(tmp_path / "engines")
    )
    chosen = told["TensorrtExecutionProvider"]
    assert (chosen["trt_fp16_enable"], chosen["trt_cuda_graph_enable"]) == ("1", "1")
    assert chosen["trt_engine_cache_path"] == str(tmp_path / "engines")
    assert "enable_cuda_graph" not in told["CUDAExecutionProvider"]
    assert told["CPUExecutionProvider"] == {}


def test_what_providers_say_of_themselves_is_told_in_words() -> None:
    told = {
        "CUDAExecutionProvider": {"gpu_mem_limit": "1024000000", "use_tf32": "0"},
        "TensorrtExecutionProvider": {"trt_fp16_enable": "1"},
    }
    words = provider_options_in_force(told)
    assert "at most 1,024 MB of GPU memory" in words
    assert "TF32 off" in words
    assert provider_options_in_force({"CPUExecutionProvider": {}}) == []


def test_a_run_that_fails_never_moves_to_another_device_by_itself() -> None:
    assert not onnxruntime_session(_IDENTITY, Device())._enable_fallback


@pytest.mark.parametrize("text", ["cuda:0", "tensorrt:0"])
def test_a_provider_that_can_not_start_is_an_error_that_says_why(text: str, nvml: Any) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this build of ONNX Runtime is for the CPU")
    if looked_up(["libcuda.so.1"])[0].problem is None:
        pytest.skip("there is a driver")
    nvml(None)
    with pytest.raises(DeviceError) as error:
        proved_onnxruntime(Device.parse(text))
    assert "no NVIDIA driver answers" in str(error.value.received)
    assert "libcublasLt.so" in str(error.value.expected)
    assert f"(built with {onnxruntime.cuda_version})" in str(error.value.expected)
    assert "Install NVIDIA's driver" in str(error.value.fix)


def test_an_error_of_the_model_on_a_sound_device_stays_its_own() -> None:
    with pytest.raises(Exception, match=r"(?i)protobuf|parse"):
        onnxruntime_session(b"no model", Device())


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


@pytest.mark.gpu
def test_the_options_are_in_force_on_a_real_gpu() -> None:
    options = DeviceOptions(memory_limit_mb=512, tf32=False, arena_strategy="next_power_of_two")
    device = Device.parse("cuda:0", options)
    text = onnxruntime_in_force(onnxruntime_session(_IDENTITY, device), device)
    assert "at most 512 MB of GPU memory; arena kNextPowerOfTwo; TF32 off" in text


@pytest.mark.gpu
def test_a_gpu_that_a_variable_hides_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from mlflow_tfconv.device import *; proved_onnxruntime(Device.parse('cuda:0'))"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "CUDA_VISIBLE_DEVICES='-1' shows 0 of them" in done.stderr


def test_a_session_says_what_is_in_force() -> None:
    device = Device(options=DeviceOptions(intra_op_threads=2))
    session = onnxruntime_session(_IDENTITY, device)
    text = onnxruntime_in_force(session)
    assert "computes with CPUExecutionProvider: intra-op-threads 2; inter-op-threads as" in text
