"""The log says what is in force, not what was asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mlflow_tfconv.device import (
    Device,
    DeviceOptions,
    apply_to_tensorflow,
    tensorflow_in_force,
)


def test_a_gpu_with_a_limit_says_how_its_memory_is_taken(tensorflow: Any) -> None:
    tensorflow(gpus=1)
    device = Device.parse("cuda:0", DeviceOptions(memory_limit_mb=4096))
    apply_to_tensorflow(device)
    found = tensorflow_in_force(device)
    assert (
        "on GPU:0: NVIDIA H200 (compute capability 9.0); memory at most 4,096 MB, taken as needed."
        in found.text
    )
    assert found.params["device.memory"] == "at most 4,096 MB, taken as needed"
    assert found.params["device.allocator"] == "bfc"


def test_the_users_own_variable_wins_and_is_told(
    tensorflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensorflow(gpus=1)
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    device = Device.parse("cuda:0")
    apply_to_tensorflow(device)
    memory = tensorflow_in_force(device).params["device.memory"]
    assert memory == "no limit, taken all at once"


def test_two_gpus_are_named(tensorflow: Any) -> None:
    tensorflow(gpus=2)
    device = Device.parse("cuda:0,1")
    apply_to_tensorflow(device)
    assert "on GPU:0 and GPU:1: " in tensorflow_in_force(device).text


def test_options_of_a_gpu_are_without_effect_on_the_cpu(tensorflow: Any) -> None:
    tensorflow(gpus=0)
    device = Device(options=DeviceOptions(memory_limit_mb=100, memory_growth=False))
    apply_to_tensorflow(device)
    text = tensorflow_in_force(device).text
    limit = "memory_limit_mb (but for `batch_size: auto`)"
    assert text.endswith(f"Without effect on the CPU: {limit}, memory_growth.")


def test_options_of_onnxruntime_are_without_effect_on_tensorflow(tensorflow: Any) -> None:
    tensorflow(gpus=1)
    device = Device.parse("cuda:0", DeviceOptions(cuda_graphs=True, tf32=False))
    apply_to_tensorflow(device)
    found = tensorflow_in_force(device)
    assert found.text.endswith("TF32 off. Without effect on TensorFlow: cuda_graphs.")
    assert found.params["device.tf32"] == "off"


def test_what_nobody_has_set_is_not_told(tensorflow: Any) -> None:
    tensorflow(gpus=0)
    device = Device()
    apply_to_tensorflow(device)
    found = tensorflow_in_force(device)
    assert re.fullmatch(r"TensorFlow 2\.21\.0 on the CPU, \d+ processors?\.", found.text)
    assert found.params["device.intra_op_threads"].startswith("as TensorFlow chooses for ")
