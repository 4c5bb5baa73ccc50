"""What is in force on a device, as TensorFlow reports it and not as it was asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.device.named_device import Device
from mlflow_tfconv.device.on_tensorflow import ALLOCATOR, GROWTH
from mlflow_tfconv.device.without_effect import without_effect

_MB_PER_MIB = 2**20 / 1e6


@dataclass(frozen=True, slots=True)
class InForce:
    """How TensorFlow computes in this process.

    Attributes:
        text: A sentence for the log, with what was set or is not as usual.
        params: By name what is in force: "device", "device.memory", ...
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
    names = [one.name.removeprefix("/device:") for one in logical]
    where = f"the CPU, {_processors()}" if device.kind == "cpu" else _of_these(names, params)
    set_here = "".join(
        f", {count} {kind}-op thread{'s' * (count != 1)}"
        for kind, count in _threads(tf).items()
        if count
    )
    text = f"TensorFlow {tf.__version__} on {where}{set_here}.{_without_effect(device)}"
    return InForce(text, params)


def _of_these(names: list[str], params: Mapping[str, str]) -> str:
    """The GPUs, and what is in force on them."""
    said = f"{' and '.join(names)}: {params['device.gpu']}; memory {params['device.memory']}"
    allocator, tf32 = params["device.allocator"], params.get("device.tf32")
    said = said if allocator == "bfc" else f"{said}; allocator {allocator}"
    return f"{said}; TF32 {tf32}" if tf32 else said


def _processors() -> str:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{count} processor{'s' * (count != 1)}"


def _threads(tf: Any) -> dict[str, int]:
    """Threads that were set; 0 where TensorFlow chooses by itself."""
    return {
        "intra": int(tf.config.threading.get_intra_op_parallelism_threads()),
        "inter": int(tf.config.threading.get_inter_op_parallelism_threads()),
    }


def _of_threads(tf: Any) -> dict[str, str]:
    chosen = f"as TensorFlow chooses for {_processors()}"
    return {
        f"device.{kind}_op_threads": str(count) if count else chosen
        for kind, count in _threads(tf).items()
    }


def _of_gpus(tf: Any, device: Device) -> dict[str, str]:
    if device.kind == "cpu":
        return {}
    gpus = tf.config.get_visible_devices("GPU")
    memory = {_memory(tf, gpu) for gpu in gpus}
    return {
        "device.gpu": ", ".join(_model(tf, gpu) for gpu in gpus),
        "device.memory": " | ".join(sorted(memory)),
        "device.allocator": os.environ.get(ALLOCATOR) or "bfc",
        **_of_tf32(tf, device),
    }


def _of_tf32(tf: Any, device: Device) -> dict[str, str]:
    """Told where it was asked for: else it is as TensorFlow has it."""
    if device.options.tf32 is None:
        return {}
    on = tf.config.experimental.tensor_float_32_execution_enabled()
    return {"device.tf32": "on" if on else "off"}


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
    """What was asked for and does nothing here: a profile for the CPU may keep options of a GPU."""
    names = without_effect(device, "tensorflow")
    return f" Without effect {_where(device)}: {', '.join(names)}." if names else ""


def _where(device: Device) -> str:
    return "on the CPU" if device.kind == "cpu" else "on TensorFlow"
