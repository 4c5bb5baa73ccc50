"""ONNX Runtime told where to compute, and never silently on another device."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.device.named_device import Device
from mlflow_tfconv.device.nvidia_driver import GPU_EXTRA
from mlflow_tfconv.device.onnxruntime_build import onnxruntime_build
from mlflow_tfconv.device.provider_options import provider_options, provider_options_in_force
from mlflow_tfconv.device.why_no_gpu import why_no_gpu
from mlflow_tfconv.device.without_effect import without_effect
from mlflow_tfconv.errors import ConfigError, DeviceError, MissingLibraryError

_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
_OPTION_KINDS = {
    "graph_optimization_level": "GraphOptimizationLevel",
    "execution_mode": "ExecutionMode",
}
_ABOUT_DEVICE = re.compile(r"CUDA|CUDNN|cuDNN|CUBLAS|TensorRT|Tensorrt|ExecutionProvider")
_OF_SOURCE = re.compile(r"/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])")  # where in it an error is from
# `y = Identity(x)` in ONNX: the smallest session that proves a provider.
_IDENTITY = (
    b'\x08\x08:3\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\r\n\x01x\x12\x08\n\x06\x08\x01\x12'
    b"\x02\n\x00b\r\n\x01y\x12\x08\n\x06\x08\x01\x12\x02\n\x00B\x04\n\x00\x10\r"
)


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
            received=f"a build with {', '.join(available)}",
            expected=wanted[0],
            fix="Install the build for GPUs: pip uninstall -y onnxruntime && "
            f"{GPU_EXTRA}; `tfconv doctor` says more; or set `device: cpu`.",
        )
    return [(name, provider_options(name, device)) for name in wanted if name in available]


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
    if device.kind != "cpu":
        _preload(ort)
    try:
        session = ort.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            onnxruntime_session_options(device, extra),
            providers=providers,
            enable_fallback=0,  # else it prints "EP Error", and opens the session on the CPU
            **arguments,
        )
    except Exception as e:  # noqa: BLE001 (its exceptions share no base, and all are raised again)
        raise (_of_device(e, device, model) or e) from None
    # A run that fails on the GPU would open the session again on the CPU, and say so on stdout.
    session.disable_fallback()
    check_providers(session.get_providers(), device)
    return session


def onnxruntime_in_force(session: Any, device: Device | None = None) -> str:
    """What a session says of its providers, threads and options, in a sentence for the log.

    Args:
        session: The session.
        device: What was asked for: then it is also told which options do nothing here.
    """
    options, ort = session.get_session_options(), _onnxruntime()
    told = [
        f"{name} {count or 'as ONNX Runtime chooses'}"
        for name, count in (
            ("intra-op-threads", options.intra_op_num_threads),
            ("inter-op-threads", options.inter_op_num_threads),
        )
    ]
    told += provider_options_in_force(session.get_provider_options())
    providers = ", ".join(session.get_providers())
    idle = without_effect(device, "onnxruntime") if device else []
    where = "on the CPU" if device and device.kind == "cpu" else "on ONNX Runtime"
    said = f" Without effect {where}: {', '.join(idle)}." if idle else ""
    return f"ONNX Runtime {ort.__version__} computes with {providers}: {'; '.join(told)}.{said}"


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
    raise why_no_gpu(
        f"ONNX Runtime could not load {wanted} and fell back to {', '.join(active) or 'nothing'}.",
        device,
        onnxruntime_build(device),
    )


def _preload(ort: Any) -> None:
    """Finds CUDA and cuDNN where pip has put them; it prints what it does not find."""
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


def _of_device(error: Exception, device: Device, model: Path | bytes) -> DeviceError | None:
    """None when the device is sound, since the smallest session opens there: it is the model."""
    if device.kind == "cpu" or not _ABOUT_DEVICE.search(str(error)):
        return None
    if model != _IDENTITY:
        try:
            proved_onnxruntime(device)
        except DeviceError as e:
            return e
        return None
    said = _OF_SOURCE.sub("", " ".join(str(error).split()))[:400]
    what = f"ONNX Runtime can't start {_PROVIDERS[device.kind][0]}."
    return why_no_gpu(what, device, onnxruntime_build(device), said=f"ONNX Runtime says: {said}")


def _option_value(ort: Any, name: str, value: Any) -> Any:
    if name in _OPTION_KINDS and isinstance(value, str):
        return getattr(getattr(ort, _OPTION_KINDS[name]), value)
    return value


def _onnxruntime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as e:
        raise MissingLibraryError(
            "onnxruntime is not installed.", received=str(e), fix="pip install onnxruntime"
        ) from e
