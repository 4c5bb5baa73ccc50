"""What is in force on a device, as TensorFlow reports it and not as it was asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.device.named_device import Device
from mlflow_tfconv.device.on_tensorflow import ALLOCATOR, GROWTH

_MB_PER_MIB = 2**20 / 1e6
_OWN_CHOICE = "as TensorFlow chooses"


@dataclass(frozen=True, slots=True)
class InForce:
    """How TensorFlow computes in this process.

    Attributes:
        text: A sentence for the log.
        params: The same by name: "device", "device.memory", ...
    """

    text: str
    params: Mapping[str, str]


def tensorflow_in_force(device: Device) -> InForce:
    """What TensorFlow says of its devices, threads and memory, after `apply_to_tensorflow`.

    It starts TensorFlow on its devices: from here on nothing can be changed.
    """
    tf = importlib.import_module("tensorflow")
    logical = tf.config.list_logical_devices("CPU" if device.kind == "cpu" else "GPU")
    params = {"device": str(device), **_of_gpus(tf, device), **_of_threads(tf)}
    where = " and ".join(one.name.removeprefix("/device:") for one in logical)
    told = "; ".join(
        f"{name.removeprefix('device.').replace('_', '-')} {value}"
        for name, value in params.items()
        if name != "device"
    )
    text = f"TensorFlow {tf.__version__} computes on {where}: {told}.{_without_effect(device)}"
    return InForce(text, params)


def _of_threads(tf: Any) -> dict[str, str]:
    found = {
        "device.intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "device.inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads(),
    }
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    chosen = _OWN_CHOICE if processors is None else f"{_OWN_CHOICE} for {processors} processors"
    return {name: str(count) if count else chosen for name, count in found.items()}


def _of_gpus(tf: Any, device: Device) -> dict[str, str]:
    if device.kind == "cpu":
        return {}
    gpus = tf.config.get_visible_devices("GPU")
    memory = {_memory(tf, gpu) for gpu in gpus}
    return {
        "device.gpu": ", ".join(_model(tf, gpu) for gpu in gpus),
        "device.memory": " | ".join(sorted(memory)),
        "device.allocator": os.environ.get(ALLOCATOR) or "bfc",
    }


def _model(tf: Any, gpu: Any) -> str:
    details = tf.config.experimental.get_device_details(gpu)
    capability = ".".join(map(str, details.get("compute_capability", ())))
    name = str(details.get("device_name", gpu.name))
    return f"{name} (compute capability {capability})" if capability else name


def _memory(tf: Any, gpu: Any) -> str:
    """The limit and how memory is taken; of several logical devices on a GPU the sum."""
    parts = tf.config.get_logical_device_configuration(gpu) or ()
    limits = [part.memory_limit for part in parts if part.memory_limit is not None]
    variable = (os.environ.get(GROWTH) or "").lower()
    # As TensorFlow reads them: the variable wins over what tf.config says.
    grows = (
        variable == "true"
        if variable in ("true", "false")
        else bool(tf.config.experimental.get_memory_growth(gpu))
    )
    most = f"at most {sum(limits) * _MB_PER_MIB:,.0f} MB" if limits else "no limit"
    if os.environ.get(ALLOCATOR):
        return f"{most}, taken as needed"
    return f"{most}, taken {'as needed' if grows else 'all at once'}"


def _without_effect(device: Device) -> str:
    """Options of a GPU say nothing on the CPU: a profile for the CPU may keep them."""
    options = device.options
    if device.kind != "cpu":
        return ""
    asked = [
        name
        for name, is_asked in (
            ("memory_limit_mb", options.memory_limit_mb is not None),
            ("memory_growth", not options.memory_growth),
            ("allocator", options.allocator != "bfc"),
        )
        if is_asked
    ]
    if not asked:
        return ""
    return f" Without effect on the CPU: {', '.join(asked)}."
