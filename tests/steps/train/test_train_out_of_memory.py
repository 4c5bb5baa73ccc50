"""A lack of memory: recognised in the messages there are, told with what was asked and free."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.device import Device, DeviceOptions
from mlflow_tfconv.errors import OutOfMemoryError
from mlflow_tfconv.steps.train import out_of_memory as module
from mlflow_tfconv.steps.train.out_of_memory import enough_memory, shortage_in

OF_A_GPU = """Graph execution error:

Detected at node model/conv1/Conv2D defined at (most recent call last):
  File "nn.py", line 1438, in conv

OOM when allocating tensor with shape[512,64,112,112] and type half on \
/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc
\t [[{{node model/conv1/Conv2D}}]]
Hint: If you want to see a list of allocated tensors when OOM happens, add ... [Op:__inference_1]"""


def test_the_tensor_its_size_and_its_operation_are_found() -> None:
    found = shortage_in(OF_A_GPU)
    assert found is not None
    assert found.shape == (512, 64, 112, 112)
    assert (found.dtype, found.device) == ("float16", "GPU:0")
    assert found.size_bytes == 512 * 64 * 112 * 112 * 2
    assert found.operation == "model/conv1/Conv2D"


@pytest.mark.parametrize(
    ("message", "size"),
    [
        ("Out of memory while trying to allocate 37.83TiB. [Op:__inference_x_43]", 37.83 * 2**40),
        ("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 6291456 bytes.", 6291456),
        ("Failed to allocate request for 1.50GiB (1610612736B) on device ordinal 0", 1.5 * 2**30),
        ("Unable to allocate 512. TiB for an array with shape (1099511627776, 64)", 2**49),
        ("{{function_node __wrapped__Mul}} failed to allocate memory [Op:Mul]", None),
        ("Dst tensor is not initialized.", None),
        ("terminate called after throwing an instance of 'std::bad_alloc'", None),
    ],
)
def test_other_messages_tell_less(message: str, size: float | None) -> None:
    found = shortage_in(message)
    assert found is not None
    assert found.size_bytes == (None if size is None else round(size))


def test_an_operation_that_runs_by_itself_is_named() -> None:
    found = shortage_in(
        "{{function_node __wrapped__Fill_device_/job:localhost/replica:0/task:0/device:CPU:0}} OOM "
        "when allocating tensor with shape[1048576,4] and type float on "
        "/job:localhost/replica:0/task:0/device:CPU:0 by allocator mklcpu [Op:Fill] name: "
    )
    assert found is not None
    assert found.asked() == "17 MB for a tensor of shape (1048576, 4) float32 in Fill"


@pytest.mark.parametrize(
    "message",
    ["RESOURCE_EXHAUSTED: /data/shard; No space left on device", "Too many open files", "a label"],
)
def test_other_matters_are_none_of_it(message: str) -> None:
    assert shortage_in(message) is None


@pytest.mark.slow  # TensorFlow waits ten seconds for somebody to free memory
def test_tensorflows_own_error_on_the_cpu_says_what_was_asked_and_what_is_free() -> None:
    with pytest.raises(OutOfMemoryError) as error, enough_memory(64, Device()):
        tf.zeros([2**20, 2**20, 4])
    text = str(error.value)
    assert "Training with batch_size 64 needs more memory than the host has" in text
    assert "17,592,186 MB for a tensor of shape (1048576, 1048576, 4) float32 in Fill" in text
    assert "free " in text
    assert "batch_size: auto" in text


def test_numpys_own_error_counts_too() -> None:
    with pytest.raises(OutOfMemoryError, match="562,949,953 MB"), enough_memory(1, Device()):
        np.zeros((2**40, 64))


def test_another_error_is_let_through() -> None:
    with pytest.raises(KeyError), enough_memory(1, Device()):
        raise KeyError("x")


def test_of_a_gpu_its_limit_and_the_drivers_numbers_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    info: Any = {"current": 6_100_000_000, "peak": 7_900_000_000}
    experimental = SimpleNamespace(get_memory_info=lambda place: info)
    fake = SimpleNamespace(config=SimpleNamespace(experimental=experimental))
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    state = SimpleNamespace(free_mb=300.0, total_mb=16_000.0)
    monkeypatch.setattr(module, "gpu_state", lambda index: state)
    device = Device.parse("cuda:0", DeviceOptions(memory_limit_mb=8000))
    with pytest.raises(OutOfMemoryError) as error, enough_memory(512, device):
        raise RuntimeError(OF_A_GPU)
    text = str(error.value)
    assert "in use by TensorFlow 6,100 MB, at most 7,900 MB before" in text
    assert "limit 8,000 MB" in text
    assert "free on the GPU 300 of 16,000 MB" in text
    assert "mixed_precision" in text
    assert "memory_limit_mb` can be raised" in text
