"""The build of ONNX Runtime that is installed, and what it needs to use a GPU."""

from __future__ import annotations

import importlib
from pathlib import Path

from mlflow_tfconv.device.named_device import Device
from mlflow_tfconv.device.nvidia_driver import GPU_EXTRA
from mlflow_tfconv.device.nvidia_libraries import looked_up, needed_by_file
from mlflow_tfconv.device.why_no_gpu import Build

_LIBRARIES = {
    "cuda": "libonnxruntime_providers_cuda.so",
    "tensorrt": "libonnxruntime_providers_tensorrt.so",
}


def onnxruntime_build(device: Device) -> Build:
    """This build of ONNX Runtime, with the libraries that it needs for a device."""
    ort = importlib.import_module("onnxruntime")
    folder, cuda = Path(str(ort.__file__)).parent / "capi", onnxruntime_cuda()
    needed = [
        name
        for kind in (("cuda", "tensorrt") if device.kind == "tensorrt" else (device.kind,))
        if kind in _LIBRARIES
        for name in needed_by_file(folder / _LIBRARIES[kind])
    ]
    later = _opened_later(cuda) if needed else []
    names = dict.fromkeys((*needed, *later))
    return Build(
        name=f"ONNX Runtime {ort.__version__}",
        cuda=cuda,
        libraries=looked_up(names),
        install=_install(ort.__version__, cuda, device),
    )


def _opened_later(cuda: str | None) -> list[str]:
    """What newer builds are not linked with: convolutions and transforms open it when they run."""
    major = (cuda or "").partition(".")[0]
    return ["libcudnn.so.9", f"libcufft.so.{12 if major == '13' else 11}"] if major else []


def _install(version: str, cuda: str | None, device: Device) -> str:
    """The extras of the very build that is there; TensorFlow's CUDA 12 goes with older builds."""
    if cuda is None:
        return f"pip uninstall -y onnxruntime && {GPU_EXTRA}"
    major = cuda.partition(".")[0]
    tensorrt = f" 'tensorrt-cu{major}<11'" if device.kind == "tensorrt" else ""
    if major == "12":
        return f"{GPU_EXTRA}{tensorrt}"
    return (
        f"pip install 'onnxruntime-gpu[cuda,cudnn]=={version}'{tensorrt} "
        f"(CUDA {major}; beside TensorFlow, which needs CUDA 12: {GPU_EXTRA})"
    )


def onnxruntime_cuda() -> str | None:
    """The version of CUDA that ONNX Runtime was built for; None for a build without CUDA."""
    try:
        build = importlib.import_module("onnxruntime.capi.build_and_package_info")
    except ImportError:
        return None
    return getattr(build, "cuda_version", None) or None
