"""Needed libraries are read from the file that needs them, and really loaded."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import onnxruntime
import pytest

from mlflow_tfconv.device.linked_libraries import linked_libraries
from mlflow_tfconv.device.nvidia_libraries import (
    looked_up,
    missing,
    needed_by_file,
    needed_for_cuda,
)

LINUX = pytest.mark.skipif(platform.system() != "Linux", reason="ELF files are Linux's")
CAPI = Path(onnxruntime.__file__).parent / "capi"


@LINUX
def test_the_libraries_of_this_python_are_read_from_its_file() -> None:
    assert any(name.startswith("libc.so") for name in linked_libraries(Path(sys.executable)))


@LINUX
def test_a_build_for_gpus_needs_cuda_of_its_own_major_version() -> None:
    provider = CAPI / "libonnxruntime_providers_cuda.so"
    if not provider.is_file():
        pytest.skip("this build of ONNX Runtime is for the CPU")
    major = onnxruntime.cuda_version.partition(".")[0]
    assert f"libcudart.so.{major}" in needed_by_file(provider)


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + b"\xff" * 90, b"text"]
)
def test_a_file_that_is_no_library_needs_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert linked_libraries(tmp_path / "file") == ()
    assert linked_libraries(tmp_path / "absent") == ()


def test_a_library_that_is_not_there_says_so() -> None:
    (found,) = looked_up(["libcudnn.so.999"])
    assert str(found) == "libcudnn.so.999 (not found)"
    assert missing([found]) == (found,)


@LINUX
def test_a_library_of_pip_that_can_not_be_loaded_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "nvidia" / "cudnn" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcudnn.so.999").write_bytes(b"no library")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = looked_up(["libcudnn.so.999"])
    assert "file too short" in str(found) or "invalid ELF header" in str(found)


def test_tensorflow_for_cuda_12_opens_these() -> None:
    assert needed_for_cuda("12.5.1", "9") == (
        *("libcuda.so.1", "libcudart.so.12", "libcublas.so.12", "libcublasLt.so.12"),
        *("libcufft.so.11", "libcusolver.so.11", "libcusparse.so.12", "libcudnn.so.9"),
    )


@pytest.mark.gpu
def test_on_a_real_gpu_all_that_onnxruntime_needs_is_found() -> None:
    onnxruntime.preload_dlls()
    found = looked_up(needed_by_file(CAPI / "libonnxruntime_providers_cuda.so"))
    assert not missing(found)
    assert any(one.name.startswith("libcudart") and one.version for one in found)
