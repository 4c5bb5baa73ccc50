"""TensorFlow told where to compute, before it touches a device."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from mlflow_tfconv.device.named_device import Device, DeviceOptions
from mlflow_tfconv.device.nvidia_driver import GPU_EXTRA
from mlflow_tfconv.device.nvidia_libraries import looked_up, needed_for_cuda
from mlflow_tfconv.device.why_no_gpu import Build, why_no_gpu
from mlflow_tfconv.errors import DeviceError

#: Variables that TensorFlow reads when it starts a GPU.
ALLOCATOR, GROWTH = "TF_GPU_ALLOCATOR", "TF_FORCE_GPU_ALLOW_GROWTH"
_MIB_PER_MB = 1_000_000 / 2**20


def apply_to_tensorflow(device: Device) -> str:
    """Makes TensorFlow compute on `device`; to be called before TensorFlow touches any device.

    Doing it again with the same device is allowed at any time.

    Returns:
        The name for `tf.device`: "/CPU:0" or "/GPU:0" (the first of the visible GPUs).

    Raises:
        DeviceError: A GPU that was asked for is not there, or TensorFlow has already started and
            an option can't be put in force any more.
    """
    tf = importlib.import_module("tensorflow")
    if device.kind == "cpu":
        _in_time(device, lambda: _set_threads(tf, device.options))
        _hide_gpus(tf)
        return "/CPU:0"
    gpus = _tensorflow_gpus(tf, device)
    _in_time(device, lambda: _set_up(tf, gpus, device.options))
    return "/GPU:0"


def _in_time(device: Device, setting: Callable[[], None]) -> None:
    """Does what TensorFlow allows only before it starts."""
    try:
        setting()
    except (RuntimeError, ValueError) as e:
        options = device.options
        asked = (
            f"{key}: {getattr(options, key)}"
            for key in ("memory_limit_mb", "allocator", "intra_op_threads", "inter_op_threads")
            if getattr(options, key) is not None
        )
        raise DeviceError(
            f"TensorFlow has already started, so the options of {device} can't be put in force.",
            received=f"{e} (asked for: {', '.join(asked)})",
            expected="TensorFlow has not computed anything in this process yet",
            fix="Call this first in a new process, or run it as a step of a recipe.",
        ) from e


def _hide_gpus(tf: Any) -> None:
    """Later it is enough that the CPU is chosen by `tf.device`."""
    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:
        return


def _tensorflow_gpus(tf: Any, device: Device) -> list[Any]:
    gpus = tf.config.list_physical_devices("GPU")
    if max(device.indices) < len(gpus):
        return [gpus[n] for n in device.indices]
    names = ", ".join(gpu.name for gpu in gpus) or "no GPU"
    raise why_no_gpu(
        f"TensorFlow can't use {device}: it sees {names}.", device, tensorflow_build(tf)
    )


def tensorflow_build(tf: Any) -> Build:
    """This build of TensorFlow, with the libraries that it opens for a GPU."""
    told = tf.sysconfig.get_build_info()
    cuda = str(told.get("cuda_version") or "") or None
    needed = needed_for_cuda(cuda, str(told.get("cudnn_version") or "") or None) if cuda else ()
    return Build(
        name=f"TensorFlow {tf.__version__}",
        cuda=cuda,
        libraries=looked_up(needed),
        install=f"{GPU_EXTRA}, or pip install 'tensorflow[and-cuda]=={tf.__version__}'"
        if cuda
        else "Install a build of TensorFlow for GPUs (Linux): pip install 'tensorflow[and-cuda]'",
    )


def _set_up(tf: Any, gpus: list[Any], options: DeviceOptions) -> None:
    _set_variables(tf, options)
    if options.tf32 is not None:  # a switch that may be turned at any time
        tf.config.experimental.enable_tensor_float_32_execution(options.tf32)
    _set_threads(tf, options)
    tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        _limit_memory(tf, gpu, options)


def _set_threads(tf: Any, options: DeviceOptions) -> None:
    if options.intra_op_threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(options.intra_op_threads)
    if options.inter_op_threads is not None:
        tf.config.threading.set_inter_op_parallelism_threads(options.inter_op_threads)


def _set_variables(tf: Any, options: DeviceOptions) -> None:
    # BFC has no name there: it is what is left.
    wanted: dict[str, str | None] = {
        ALLOCATOR: None if options.allocator == "bfc" else options.allocator
    }
    if options.memory_limit_mb is not None:
        # A limit and growth exclude each other in tf.config; the variable grows limited devices too.
        wanted[GROWTH] = "true" if options.memory_growth else "false"
    changed = {
        name: value for name, value in wanted.items() if (os.environ.get(name) or None) != value
    }
    if changed and _has_started(tf):
        raise RuntimeError(f"{' and '.join(changed)} can't be changed after initialization")
    for name, value in changed.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def _has_started(tf: Any) -> bool:
    """Whether TensorFlow has looked at its settings: then it takes no other number of threads."""
    threading = tf.config.threading
    now = threading.get_inter_op_parallelism_threads()
    try:
        threading.set_inter_op_parallelism_threads(now + 1)
    except RuntimeError:
        return True
    threading.set_inter_op_parallelism_threads(now)
    return False


def _limit_memory(tf: Any, gpu: Any, options: DeviceOptions) -> None:
    if options.memory_limit_mb is None:
        tf.config.experimental.set_memory_growth(gpu, options.memory_growth)
        return
    limit = tf.config.LogicalDeviceConfiguration(
        memory_limit=int(options.memory_limit_mb * _MIB_PER_MB)  # TensorFlow counts in MiB
    )
    tf.config.set_logical_device_configuration(gpu, [limit])
