"""What NVIDIA's driver says of the GPUs, without starting CUDA."""

from __future__ import annotations

import importlib
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.device.named_device import Device
from mlflow_tfconv.device.visible_gpus import VARIABLE, nvml_handle, visible_gpus
from mlflow_tfconv.errors import DeviceError, MissingLibraryError

GPU_EXTRA = "pip install 'mlflow-tfconv[gpu]'"
#: The oldest driver for a major version of CUDA
#: (docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html).
_DRIVER_FOR = {11: 450, 12: 525, 13: 580}


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """NVIDIA's driver, as NVML tells it.

    Attributes:
        version: Such as "550.54"; None when no driver answers.
        cuda: The newest version of CUDA that it can run, (major, minor); None when it does not say.
        gpus: How many GPUs there are.
        problem: Why no driver answers; None when one does.
    """

    version: str | None = None
    cuda: tuple[int, int] | None = None
    gpus: int = 0
    problem: str | None = None

    def __str__(self) -> str:
        """In words."""
        if self.problem is not None:
            return self.problem
        up_to = f" (CUDA up to {self.cuda[0]}.{self.cuda[1]})" if self.cuda else ""
        return f"NVIDIA driver {self.version}{up_to}, {self.gpus} GPU{'s' * (self.gpus != 1)}"


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
        DeviceError: There is no NVIDIA driver, or fewer GPUs than `device` names, or they are
            hidden by CUDA_VISIBLE_DEVICES.
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
        said = f"{count} GPU{'s' * (count != 1)} (NVML)"
        raise no_gpu(f"{device} is not on this machine.", said, device)
    if max(device.indices) >= len(visible_gpus(count)):
        raise _hidden(device, count)


def driver() -> Driver:
    """The driver; a value that it does not tell is None."""
    try:
        count = gpu_count()
    except (DeviceError, MissingLibraryError) as e:
        return Driver(problem=e.what)
    nvml = importlib.import_module("pynvml")
    version: Any = None
    cuda: tuple[int, int] | None = None
    with suppress(nvml.NVMLError, AttributeError):
        version = nvml.nvmlSystemGetDriverVersion()
    with suppress(nvml.NVMLError, AttributeError):
        number = int(nvml.nvmlSystemGetCudaDriverVersion_v2())
        cuda = (number // 1000, number % 1000 // 10)
    text = version.decode() if isinstance(version, bytes) else version
    return Driver(version=text or "of unknown version", cuda=cuda, gpus=count)


def driver_state() -> str:
    """The NVIDIA driver and its GPUs in a few words, as NVML sees them."""
    return str(driver())


def driver_for_cuda(version: str | None) -> int | None:
    """The oldest driver that runs what was built for a version of CUDA; None if unknown."""
    major = (version or "").partition(".")[0]
    return _DRIVER_FOR.get(int(major)) if major.isdigit() else None


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


def no_gpu(what: str, received: str, device: Device) -> DeviceError:
    """The error for GPUs that were asked for and are not there."""
    return DeviceError(
        what,
        received=received,
        expected=f"GPU{'s' if len(device.indices) > 1 else ''} "
        f"{', '.join(map(str, device.indices))} with an NVIDIA driver of "
        f"{_DRIVER_FOR[12]} or newer (CUDA 12)",
        fix="Look at `nvidia-smi` (in a container: start it with `--gpus all`) and at `tfconv "
        f"doctor`; {GPU_EXTRA} installs CUDA; or set `device: cpu`.",
    )


def _hidden(device: Device, count: int) -> DeviceError:
    shown = visible_gpus(count)
    return DeviceError(
        f"{device} is hidden by the environment variable {VARIABLE}.",
        received=f"{VARIABLE}={os.environ.get(VARIABLE)!r}, which leaves "
        f"{len(shown) or 'none'} of {count} GPUs",
        expected=f"{max(device.indices) + 1} or more GPUs in it, which are then counted from 0",
        fix=f"Change or unset {VARIABLE}, or name another device.",
    )
