"""What NVIDIA's driver says of the GPUs, without starting CUDA."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.device.named_device import Device
from mlflow_tfconv.errors import DeviceError, MissingLibraryError

GPU_EXTRA = "pip install 'mlflow-tfconv[gpu]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """The memory of a GPU at one moment, of all who use it, in MB (10^6 bytes).

    Attributes:
        total_mb: What there is.
        used_mb: What is taken.
        free_mb: What can be had.
    """

    total_mb: float
    used_mb: float
    free_mb: float


def require_gpus(device: Device) -> None:
    """Makes sure that the GPUs of `device` exist, without starting CUDA; the CPU always does.

    Raises:
        DeviceError: There is no NVIDIA driver, or fewer GPUs than `device` names.
    """
    if device.kind == "cpu":
        return
    try:
        count = gpu_count()
    except MissingLibraryError:
        return  # then the runtimes themselves will tell
    except DeviceError as e:
        raise no_gpu(f"There is no GPU for {device} on this machine.", e.what, device) from e
    if max(device.indices) >= count:
        raise no_gpu(f"{device} is not on this machine.", f"{count} GPUs (NVML)", device)


def driver_state() -> str:
    """The NVIDIA driver and its GPUs in a few words, as NVML sees them."""
    try:
        count = gpu_count()
        version = importlib.import_module("pynvml").nvmlSystemGetDriverVersion()
    except (DeviceError, MissingLibraryError) as e:
        return e.what
    text = version.decode() if isinstance(version, bytes) else version
    return f"NVIDIA driver {text}, {count} GPU{'' if count == 1 else 's'}"


def gpu_count() -> int:
    """The number of NVIDIA GPUs on this machine, as NVML counts them.

    Raises:
        MissingLibraryError: nvidia-ml-py is not installed.
        DeviceError: No driver answers.
    """
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as e:
        raise MissingLibraryError("nvidia-ml-py is not installed, so NVML can't be asked.") from e
    try:
        nvml.nvmlInit()
        return int(nvml.nvmlDeviceGetCount())
    except nvml.NVMLError as e:
        raise DeviceError(f"no NVIDIA driver answers (NVML: {e})") from e


def gpu_state(index: int) -> GpuState | None:
    """The memory of GPU `index` as CUDA counts them; None without pynvml or without a driver."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        found = nvml.nvmlDeviceGetMemoryInfo(nvml_handle(nvml, index))
    except nvml.NVMLError:
        return None
    return GpuState(total_mb=found.total / 1e6, used_mb=found.used / 1e6, free_mb=found.free / 1e6)


def nvml_handle(nvml: Any, index: int) -> Any:
    """NVML's handle of a GPU.

    Args:
        nvml: The module pynvml, or one like it.
        index: The GPU as CUDA counts them: CUDA_VISIBLE_DEVICES renumbers GPUs for CUDA, but not
            for NVML.
    """
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    name = visible[index] if index < len(visible) and visible[index] else str(index)
    if name.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    return nvml.nvmlDeviceGetHandleByUUID(name)


def no_gpu(what: str, received: str, device: Device) -> DeviceError:
    """The error for GPUs that were asked for and can't be used."""
    return DeviceError(
        what,
        received=received,
        expected=f"GPU{'s' if len(device.indices) > 1 else ''} "
        f"{', '.join(map(str, device.indices))} with an NVIDIA driver of 525 or newer (CUDA 12)",
        fix="Look at `nvidia-smi` (in a container: start it with `--gpus all`) and at `tfconv "
        f"doctor`; {GPU_EXTRA} installs CUDA; or set `device: cpu`.",
    )
