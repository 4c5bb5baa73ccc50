from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.device import Device, DeviceOptions
from mlflow_tfconv.device.without_effect import without_effect
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
        ({"intra_op_threads": True}, "intra_op_threads is out of range"),
        ({"memory_limit_mb": 1.5}, "memory_limit_mb is out of range"),
        ({"memory_growth": "yes"}, "memory_growth is out of range"),
        ({"cuda_graphs": 1}, "cuda_graphs is out of range"),
        ({"tf32": "off"}, "tf32 is out of range"),
        ({"allocator": "slab"}, "allocator is out of range"),
        ({"arena_strategy": "kSameAsRequested"}, "arena_strategy is out of range"),
        ({"engine_cache": ""}, "engine_cache is out of range"),
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


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("cuda:0", {"float16": True}),
        ("cuda:0", {"engine_cache": "engines"}),
        ("tensorrt:0", {"tf32": False}),
    ],
)
def test_options_that_do_nothing_on_a_device_are_refused(
    text: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=f"does nothing on {text}") as error:
        Device.parse(text, DeviceOptions(**options))
    assert error.value.fix
    Device.parse("cpu", DeviceOptions(**options))  # a profile for the CPU may keep them


def test_options_without_effect_are_told_for_each_library() -> None:
    device = Device.parse("cuda:0", DeviceOptions(cuda_graphs=True, allocator="cuda_malloc_async"))
    assert without_effect(device, "tensorflow") == ["cuda_graphs"]
    assert without_effect(device, "onnxruntime") == ["allocator"]
