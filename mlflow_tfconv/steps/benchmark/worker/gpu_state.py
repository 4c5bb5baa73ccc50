"""The worker's command `gpu_state`: clocks, heat, power and company of the GPU, as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow_tfconv.device import gpu_reading

if TYPE_CHECKING:  # the opened model knows all commands
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel


def gpu_state(opened: OpenedModel) -> dict[str, Any]:
    """What `gpu_reading` tells; nothing on the CPU."""
    return gpu_reading(opened.device.indices[0]) if opened.device.indices else {}


def gpu_of_turn(opened: OpenedModel) -> dict[str, Any]:
    """`gpu` for the conditions of a turn; nothing on the CPU, or when NVML tells nothing."""
    told = gpu_state(opened)
    names = ("throttle_reasons", "clock_mhz", "max_clock_mhz", "temperature_c", "power_w", "others")
    found = {name: told[name] for name in names if name in told}
    return {"gpu": found} if found else {}
