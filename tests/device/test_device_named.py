from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.device import Device, DeviceOptions
from mlflow_tfconv.errors import ConfigError


@pytest.mark.parametrize("text", ["cpu", "cuda:0", "cuda:0,1", "tensorrt:0"])
def test_a_device_is_written_as_it_was_read(text: str) -> None:
    assert str(Device.parse(text)) == text


@pytest.mark.parametrize("text", ["gpu", "cuda", "cuda:", "cpu:0", "cuda:0,0"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="device"):
        Device.parse(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"memory_limit_mb": 0}, "memory_limit_mb is out of range"),
        ({"intra_op_threads": -1}, "intra_op_threads is out of range"),
        (
            {"memory_limit_mb": 100, "allocator": "cuda_malloc_async"},
            "does not keep to a memory limit",
        ),
        ({"memory_growth": False, "allocator": "cuda_malloc_async"}, "as it is needed"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DeviceOptions(**options)
