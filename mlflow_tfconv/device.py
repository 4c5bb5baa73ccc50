"""Where a model computes, and how TensorFlow and ONNX Runtime are told so.

Importable with nothing but numpy and onnxruntime installed: the benchmark worker uses it.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlflow_tfconv.errors import ConfigError, DeviceError, MissingLibraryError

_MIB_PER_MB = 1_000_000 / 2**20
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
_OPTION_KINDS = {
    "graph_optimization_level": "GraphOptimizationLevel",
    "execution_mode": "ExecutionMode",
}
# `y = Identity(x)` in ONNX: the smallest session that proves a provider.
_IDENTITY = (
    b'\x08\x08:3\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\r\n\x01x\x12\x08\n\x06\x08\x01\x12'
    b"\x02\n\x00b\r\n\x01y\x12\x08\n\x06\x08\x01\x12\x02\n\x00B\x04\n\x00\x10\r"
)
_GPU_EXTRA = "pip install 'mlflow-tfconv[gpu]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """Limits of a device.

    Attributes:
        memory_limit_mb: Most GPU memory to take, in MB (10^6 bytes); None takes no limit.
        memory_growth: Take GPU memory as it is needed instead of all of it at once.
        allocator: TensorFlow's GPU allocator.
        intra_op_threads: Threads inside one operation; None lets the runtime decide.
        inter_op_threads: Operations at a time; None lets the runtime decide.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    memory_limit_mb: int | None = None
    memory_growth: bool = True
    allocator: Literal["bfc", "cuda_malloc_async"] = "bfc"
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A parsed `device` of recipe.yaml.

    Attributes:
        kind: "cpu" | "cuda" | "tensorrt".
        indices: The GPUs, empty on the CPU.
        options: Limits and threads.
    """

    kind: str = "cpu"
    indices: tuple[int, ...] = ()
    options: DeviceOptions = field(default_factory=DeviceOptions)

    def __str__(self) -> str:
        """As it is written in recipe.yaml."""
        return (
            self.kind if self.kind == "cpu" else f"{self.kind}:{','.join(map(str, self.indices))}"
        )

    @classmethod
    def parse(cls, text: str, options: DeviceOptions | None = None) -> Device:
        """Reads "cpu", "cuda:0", "cuda:0,1" or "tensorrt:0".

        Raises:
            ConfigError: The text is none of these.
        """
        match = re.fullmatch(r"(cpu)|(cuda|tensorrt):(\d+(?:,\d+)*)", str(text))
        if match is None:
            raise ConfigError(
                "The device is not understood.",
                received=repr(text),
                expected='"cpu", "cuda:0", "cuda:0,1" or "tensorrt:0"',
                fix="Set `device` in recipe.yaml or in the profile.",
            )
        indices = tuple(int(n) for n in match[3].split(",")) if match[3] else ()
        return cls(kind=match[1] or match[2], indices=indices, options=options or DeviceOptions())


def apply_to_tensorflow(device: Device) -> str:
    """Makes TensorFlow compute on `device`; to be called before TensorFlow touches any device.

    Returns:
        The name for `tf.device`: "/CPU:0" or "/GPU:0" (the first of the visible GPUs).

    Raises:
        DeviceError: A GPU that was asked for is not there, or TensorFlow has already started on
            other devices.
    """
    tf = importlib.import_module("tensorflow")
    if device.kind == "cpu":
        _set_early(lambda: _set_threads(tf, device.options))
        _set_early(lambda: tf.config.set_visible_devices([], "GPU"))
        return "/CPU:0"
    gpus = _tensorflow_gpus(tf, device)
    _set_allocator(device.options)
    try:
        _set_threads(tf, device.options)
        tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            _limit_memory(tf, gpu, device.options)
    except RuntimeError as e:
        raise DeviceError(
            f"TensorFlow has already started, so it can't be moved to {device}.",
            received=str(e),
            expected="TensorFlow has not computed anything in this process yet",
            fix="Call this first in a new process, or run it as a step of a recipe.",
        ) from e
    return "/GPU:0"


def onnxruntime_providers(device: Device) -> list[tuple[str, dict[str, str]]]:
    """The execution providers for `device` with their options, the preferred one first.

    ONNX Runtime runs a session on one GPU: the first that `device` names.

    Raises:
        DeviceError: This build of ONNX Runtime has no such provider.
    """
    ort = _onnxruntime()
    wanted = _PROVIDERS[device.kind]
    available = ort.get_available_providers()
    if wanted[0] not in available:
        raise DeviceError(
            f"ONNX Runtime {ort.__version__} has no provider for {device}.",
            received=", ".join(available),
            expected=wanted[0],
            fix=f"Install the build for GPUs: {_GPU_EXTRA}; `tfconv doctor` says more.",
        )
    return [(name, _provider_options(name, device)) for name in wanted if name in available]


def onnxruntime_session_options(device: Device, extra: Mapping[str, Any] | None = None) -> Any:
    """`onnxruntime.SessionOptions` with the device's threads and a variant's own options.

    Args:
        device: Where the session will compute.
        extra: Attributes of SessionOptions (enumerations by name, such as "ORT_ENABLE_ALL") and
            config entries, told by the dot in their names ("session.disable_prepacking").

    Raises:
        ConfigError: ONNX Runtime has no such option.
    """
    ort = _onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only: warnings about fallback are raised by us
    options.intra_op_num_threads = device.options.intra_op_threads or 0
    options.inter_op_num_threads = device.options.inter_op_threads or 0
    for name, value in (extra or {}).items():
        if "." in name:
            options.add_session_config_entry(name, str(value))
        elif hasattr(options, name):
            setattr(options, name, _option_value(ort, name, value))
        else:
            raise ConfigError(
                "ONNX Runtime has no such session option.",
                received=repr(name),
                expected="an attribute of onnxruntime.SessionOptions or a config entry",
                fix="Look at the variant's session_options.",
            )
    return options


def onnxruntime_session(
    model: Path | bytes, device: Device, extra: Mapping[str, Any] | None = None
) -> Any:
    """An `onnxruntime.InferenceSession` that really is on `device`.

    Args:
        model: The ONNX file, or its bytes.
        device: Where to compute.
        extra: As for `onnxruntime_session_options`; also `disabled_optimizers`, which ONNX Runtime
            takes elsewhere.

    Raises:
        DeviceError: The provider is missing, or ONNX Runtime fell back from it.
    """
    ort = _onnxruntime()
    extra = dict(extra or {})
    disabled = extra.pop("disabled_optimizers", None)
    arguments = {"disabled_optimizers": list(disabled)} if disabled else {}
    providers = onnxruntime_providers(device)
    if device.kind != "cpu" and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # finds CUDA and cuDNN where pip has put them
    session = ort.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        onnxruntime_session_options(device, extra),
        providers=providers,
        **arguments,
    )
    check_providers(session.get_providers(), device)
    return session


def proved_onnxruntime(device: Device) -> None:
    """Opens the smallest session there is on `device`.

    Raises:
        DeviceError: The provider is missing, or ONNX Runtime fell back from it.
    """
    onnxruntime_session(_IDENTITY, device)


def check_providers(active: Sequence[str], device: Device) -> None:
    """Makes sure that ONNX Runtime has not fallen back from the provider that was asked for.

    Args:
        active: What `session.get_providers()` says.
        device: What was asked for.

    Raises:
        DeviceError: The provider is not among the active ones.
    """
    wanted = _PROVIDERS[device.kind][0]
    if wanted in active:
        return
    raise DeviceError(
        f"ONNX Runtime could not load {wanted} and fell back to {', '.join(active) or 'nothing'}.",
        received=f"device {device}; {driver_state()}",
        expected=f"{wanted}, with the CUDA it was built for ({onnxruntime_cuda() or 'unknown'})",
        fix=f"`tfconv doctor` says which library is missing; {_GPU_EXTRA} installs the ones for "
        "CUDA 12.",
    )


def onnxruntime_cuda() -> str | None:
    """The version of CUDA that ONNX Runtime was built for; None for a build without CUDA."""
    try:
        build = importlib.import_module("onnxruntime.capi.build_and_package_info")
    except ImportError:
        return None
    return getattr(build, "cuda_version", None) or None


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
        raise _no_gpu(f"There is no GPU for {device} on this machine.", e.what, device) from e
    if max(device.indices) >= count:
        raise _no_gpu(f"{device} is not on this machine.", f"{count} GPUs (NVML)", device)


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


def _no_gpu(what: str, received: str, device: Device) -> DeviceError:
    return DeviceError(
        what,
        received=received,
        expected=f"GPU{'s' if len(device.indices) > 1 else ''} "
        f"{', '.join(map(str, device.indices))} with an NVIDIA driver of 525 or newer (CUDA 12)",
        fix="Look at `nvidia-smi` (in a container: start it with `--gpus all`) and at `tfconv "
        f"doctor`; {_GPU_EXTRA} installs CUDA; or set `device: cpu`.",
    )


def _tensorflow_gpus(tf: Any, device: Device) -> list[Any]:
    gpus = tf.config.list_physical_devices("GPU")
    if max(device.indices) < len(gpus):
        return [gpus[n] for n in device.indices]
    build = tf.sysconfig.get_build_info()
    built_for = (
        f"built for CUDA {build['cuda_version']} and cuDNN {build.get('cudnn_version', '?')}"
        if "cuda_version" in build
        else "built without CUDA"
    )
    names = ", ".join(gpu.name for gpu in gpus) or "none"
    raise _no_gpu(
        f"TensorFlow can't use {device}.",
        f"GPUs that TensorFlow {tf.__version__} ({built_for}) sees: {names}; {driver_state()}",
        device,
    )


def _set_allocator(options: DeviceOptions) -> None:
    if options.allocator == "bfc":
        os.environ.pop("TF_GPU_ALLOCATOR", None)  # BFC has no name there: it is what is left
    else:
        os.environ["TF_GPU_ALLOCATOR"] = options.allocator


def _set_threads(tf: Any, options: DeviceOptions) -> None:
    if options.intra_op_threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(options.intra_op_threads)
    if options.inter_op_threads is not None:
        tf.config.threading.set_inter_op_parallelism_threads(options.inter_op_threads)


def _set_early(setting: Callable[[], None]) -> None:
    """Does what TensorFlow allows only before it starts; later the CPU is chosen by `tf.device`."""
    try:
        setting()
    except RuntimeError:
        return


def _limit_memory(tf: Any, gpu: Any, options: DeviceOptions) -> None:
    if options.memory_limit_mb is None:
        tf.config.experimental.set_memory_growth(gpu, options.memory_growth)
        return
    # A limit and growth exclude each other in tf.config; the variable grows limited devices too.
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true" if options.memory_growth else "false"
    limit = tf.config.LogicalDeviceConfiguration(
        memory_limit=int(options.memory_limit_mb * _MIB_PER_MB)  # TensorFlow counts in MiB
    )
    tf.config.set_logical_device_configuration(gpu, [limit])


def _provider_options(name: str, device: Device) -> dict[str, str]:
    if name == "CPUExecutionProvider":
        return {}
    chosen = {"device_id": str(device.indices[0])}
    if name == "CUDAExecutionProvider":
        if device.options.memory_limit_mb is not None:
            chosen["gpu_mem_limit"] = str(device.options.memory_limit_mb * 1_000_000)
        growth = device.options.memory_growth
        chosen["arena_extend_strategy"] = "kSameAsRequested" if growth else "kNextPowerOfTwo"
    return chosen


def _option_value(ort: Any, name: str, value: Any) -> Any:
    kinds = {
        "graph_optimization_level": "GraphOptimizationLevel",
        "execution_mode": "ExecutionMode",
    }
    if name in kinds and isinstance(value, str):
        return getattr(getattr(ort, kinds[name]), value)
    return value


def _onnxruntime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as e:
        raise MissingLibraryError(
            "onnxruntime is not installed.", received=str(e), fix="pip install onnxruntime"
        ) from e
