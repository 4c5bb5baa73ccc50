"""Why a runtime can't use a GPU: driver, CUDA and cuDNN, found and needed, and what to install."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from mlflow_tfconv.device.named_device import Device
from mlflow_tfconv.device.nvidia_driver import GPU_EXTRA, Driver, driver, driver_for_cuda
from mlflow_tfconv.device.nvidia_libraries import Library, missing
from mlflow_tfconv.device.visible_gpus import VARIABLE, visible_gpus
from mlflow_tfconv.errors import DeviceError

_CUDA_OF_EXTRA = 12  # what this package's extra `gpu` installs


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A runtime that was built for GPUs.

    Attributes:
        name: With its version, such as "ONNX Runtime 1.31.1".
        cuda: The version of CUDA that it was built for; None for a build without CUDA.
        libraries: What it needs of NVIDIA's libraries, looked up on this machine.
        install: The command that brings the libraries.
    """

    name: str
    cuda: str | None
    libraries: tuple[Library, ...] = ()
    install: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """What stands in the way, as far as it can be told from outside.

    Attributes:
        found: What there is, in words.
        needed: What is needed, in words.
        fix: What mends the first cause.
        certain: Whether a cause was found; else only the runtime's own words help.
    """

    found: str
    needed: str
    fix: str
    certain: bool = field(default=True)


def why_no_gpu(what: str, device: Device, build: Build, *, said: str = "") -> DeviceError:
    """The error for a runtime that can't use a GPU.

    Args:
        what: What happened.
        device: What was asked for.
        build: The runtime.
        said: Its own words, if there are any.
    """
    causes = causes_of(device, build, driver())
    return DeviceError(
        what,
        received=f"{causes.found}; {said}" if said else causes.found,
        expected=causes.needed,
        fix=f"{causes.fix}; or set `device: cpu`.",
    )


def causes_of(device: Device, build: Build, found: Driver) -> Causes:
    """Judges the facts: the first of them that would be enough to fail is what the fix is about."""
    libraries = [one for one in build.libraries if not one.name.startswith("libcuda.so")]
    lacking = missing(libraries)
    present = [str(one) for one in libraries if one.problem is None]
    parts = [str(found), _of_variable(found)]
    if lacking:
        parts.append(f"missing: {', '.join(map(str, lacking))}")
    if present:
        parts.append(f"found: {', '.join(present)}")
    fix, certain = _fix(device, build, found, lacking)
    return Causes(
        found="; ".join(part for part in parts if part),
        needed=_needed(build),
        fix=fix,
        certain=certain,
    )


def _needed(build: Build) -> str:
    if build.cuda is None:
        return "a build for CUDA"
    oldest = driver_for_cuda(build.cuda)
    by = f" with an NVIDIA driver of {oldest} or newer" if oldest else ""
    names = ", ".join(one.name for one in build.libraries)
    return f"CUDA {build.cuda.partition('.')[0]} for {build.name} (built with {build.cuda}){by}" + (
        f": {names}" if names else ""
    )


def _fix(
    device: Device, build: Build, found: Driver, lacking: tuple[Library, ...]
) -> tuple[str, bool]:
    """What to do, and whether that is known to be the cause."""
    of_driver = _fix_of_driver(device, build, found)
    if build.cuda is None or (lacking and not of_driver):
        return build.install, True
    if of_driver:
        also = bool(lacking) and not _is_too_old(found, build)
        return f"{of_driver}; then {build.install}" if also else of_driver, True
    return "`nvidia-smi` shows whether the GPU works and has memory left", False


def _fix_of_driver(device: Device, build: Build, found: Driver) -> str:
    """Empty when driver and GPU are not to blame."""
    oldest = driver_for_cuda(build.cuda)
    driver_text = f"Install NVIDIA's driver {oldest} or newer" if oldest else "Update the driver"
    if found.problem is not None:
        if "nvidia-ml-py" in found.problem:  # then nobody knows
            return ""
        return f"{driver_text}, or, in a container, start it with `--gpus all`"
    if device.indices and max(device.indices) >= _shown(found):
        return f"Name a GPU that is there, or change {VARIABLE}"
    if found.cuda is not None and _is_too_old(found, build):
        other = f": {GPU_EXTRA}" if found.cuda[0] == _CUDA_OF_EXTRA else ""
        return f"{driver_text}, or a build for CUDA {found.cuda[0]}{other}"
    return ""


def _is_too_old(found: Driver, build: Build) -> bool:
    """What is built for CUDA 13.0 runs with a driver for any 13 and newer, but not for 12."""
    built = (build.cuda or "").partition(".")[0]
    return found.cuda is not None and built.isdigit() and found.cuda[0] < int(built)


def _shown(found: Driver) -> int:
    return len(visible_gpus(found.gpus))


def _of_variable(found: Driver) -> str:
    told = os.environ.get(VARIABLE)
    if told is None or found.problem is not None:
        return ""
    return f"{VARIABLE}={told!r} shows {_shown(found)} of them"
