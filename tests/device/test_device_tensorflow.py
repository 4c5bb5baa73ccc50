"""Devices applied to TensorFlow: in time, or with an error."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from mlflow_tfconv.device import Device, DeviceOptions, apply_to_tensorflow
from mlflow_tfconv.errors import DeviceError

IN_A_NEW_PROCESS = """
from mlflow_tfconv.device import Device, DeviceOptions, apply_to_tensorflow, tensorflow_in_force
from mlflow_tfconv.errors import DeviceError

device = Device(options=DeviceOptions(intra_op_threads=3, inter_op_threads=1))
apply_to_tensorflow(device)
print(tensorflow_in_force(device).text)
apply_to_tensorflow(device)
try:
    apply_to_tensorflow(Device(options=DeviceOptions(intra_op_threads=2)))
except DeviceError as error:
    print(error)
"""


def test_the_cpu_hides_the_gpus_from_tensorflow_and_sets_its_threads(tensorflow: Any) -> None:
    fake = tensorflow(gpus=2)
    options = DeviceOptions(intra_op_threads=3, inter_op_threads=1)
    assert apply_to_tensorflow(Device(options=options)) == "/CPU:0"
    assert fake.told == [("intra", 3), ("inter", 1), ("visible", [])]


def test_the_cpu_can_be_asked_for_after_tensorflow_has_started(tensorflow: Any) -> None:
    tensorflow(gpus=1, started=True)
    assert apply_to_tensorflow(Device()) == "/CPU:0"


def test_threads_that_tensorflow_takes_no_more_are_an_error(tensorflow: Any) -> None:
    tensorflow(gpus=0, started=True)
    with pytest.raises(DeviceError, match="already started") as error:
        apply_to_tensorflow(Device(options=DeviceOptions(intra_op_threads=2)))
    assert "intra_op_threads: 2" in str(error.value)


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


def test_an_allocator_that_comes_too_late_is_an_error(tensorflow: Any) -> None:
    tensorflow(gpus=1, started=True)
    with pytest.raises(DeviceError, match="already started") as error:
        apply_to_tensorflow(Device.parse("cuda:0", DeviceOptions(allocator="cuda_malloc_async")))
    assert "TF_GPU_ALLOCATOR can't be changed" in str(error.value)
    assert "TF_GPU_ALLOCATOR" not in os.environ


def test_a_gpu_that_tensorflow_does_not_see_is_an_error_that_says_what_it_sees(
    tensorflow: Any,
) -> None:
    tensorflow(gpus=1)
    with pytest.raises(DeviceError) as error:
        apply_to_tensorflow(Device.parse("cuda:1"))
    assert "it sees GPU:0" in str(error.value)
    assert "CUDA 12 for TensorFlow 2.21.0 (built with 12.5.1)" in str(error.value)
    assert "libcudart.so.12" in str(error.value)
    assert "mlflow-tfconv[gpu]" in str(error.value)


def test_a_gpu_asked_for_after_tensorflow_has_started_is_an_error(tensorflow: Any) -> None:
    tensorflow(gpus=1, started=True)
    with pytest.raises(DeviceError, match="already started"):
        apply_to_tensorflow(Device.parse("cuda:0"))


def test_tensorflow_itself_takes_threads_once() -> None:
    told = subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS], capture_output=True, text=True, check=True
    ).stdout
    assert ", 3 intra-op threads, 1 inter-op thread." in told
    assert "TensorFlow has already started" in told
    assert "Intra op parallelism cannot be modified" in told
