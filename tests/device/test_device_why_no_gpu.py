"""An error for a GPU that can't be used says what is there, what is needed and what to install."""

from __future__ import annotations

import pytest

from mlflow_tfconv.device.named_device import Device
from mlflow_tfconv.device.nvidia_driver import Driver
from mlflow_tfconv.device.nvidia_libraries import Library
from mlflow_tfconv.device.why_no_gpu import Build, Causes, causes_of

SOUND = Driver(version="580.95", cuda=(13, 0), gpus=1)
FOUND = Library(name="libcudart.so.13", version="13.0")
LACKING = Library(name="libcudnn.so.9", problem="not found")
GPU = Device.parse("cuda:0")


def causes(found: Driver = SOUND, *libraries: Library, cuda: str | None = "13.0") -> Causes:
    build = Build(
        name="ONNX Runtime 1.31.1", cuda=cuda, libraries=libraries, install="pip install it"
    )
    return causes_of(GPU, build, found)


@pytest.fixture(autouse=True)
def _all_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_a_library_that_is_missing_is_named_with_the_command_that_brings_it() -> None:
    told = causes(SOUND, FOUND, LACKING)
    assert "NVIDIA driver 580.95 (CUDA up to 13.0), 1 GPU" in told.found
    assert "missing: libcudnn.so.9 (not found); found: libcudart.so.13 (13.0)" in told.found
    assert told.needed.startswith("CUDA 13 for ONNX Runtime 1.31.1 (built with 13.0)")
    assert told.fix == "pip install it"


def test_a_driver_too_old_for_the_build_is_the_first_cause() -> None:
    told = causes(Driver(version="550.54", cuda=(12, 4), gpus=1), LACKING)
    assert told.fix == (
        "Install NVIDIA's driver 580 or newer, or a build for CUDA 12: "
        "pip install 'mlflow-tfconv[gpu]'"
    )
    assert "driver of 580 or newer" in told.needed


def test_without_a_driver_nothing_is_to_be_installed_by_pip() -> None:
    told = causes(Driver(problem="no NVIDIA driver answers (NVML: Driver Not Loaded)"), LACKING)
    assert told.fix.startswith("Install NVIDIA's driver 580 or newer, or, in a container")


def test_a_variable_that_hides_the_gpu_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    told = causes(SOUND)
    assert "CUDA_VISIBLE_DEVICES='-1' shows 0 of them" in told.found
    assert "change CUDA_VISIBLE_DEVICES" in told.fix


def test_a_build_without_cuda_has_to_be_replaced() -> None:
    assert causes(SOUND, cuda=None).needed == "a build for CUDA"
    assert causes(SOUND, cuda=None).fix == "pip install it"


def test_when_all_is_there_only_the_runtimes_own_words_help() -> None:
    told = causes(SOUND, FOUND)
    assert not told.certain
    assert "nvidia-smi" in told.fix


def test_libcuda_comes_with_the_driver_and_not_by_pip() -> None:
    told = causes(SOUND, Library(name="libcuda.so.1", problem="not found"))
    assert "missing" not in told.found
