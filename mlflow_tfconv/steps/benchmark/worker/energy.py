"""The worker's command `energy`: what inferences take from the wall on a GPU."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.device import gpu_reading
from mlflow_tfconv.errors import DeviceError
from mlflow_tfconv.steps.benchmark.worker.power import PowerMeter, power_meter
from mlflow_tfconv.steps.benchmark.worker.scenario_batches import calls_of

if TYPE_CHECKING:  # the opened model knows all commands
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_PAUSE_S = 0.005


def energy(opened: OpenedModel, *, seconds: float = 1.0, rest_s: float = 0.5) -> dict[str, Any]:
    """Measures each batch size, one batch after the other, with copies to and from the device.

    Args:
        opened: The model.
        seconds: For each size.
        rest_s: For the power of the GPU while this process does nothing, before.

    Returns:
        `idle_w`, `method`, `others` (processes on the GPU besides this one; None if unknown), and
        `sizes`: batch_size, j_per_1000, j_per_1000_above_idle, watts, seconds, samples.

    Raises:
        DeviceError: NVML tells neither energy nor power, or the GPU is gone, or there is none.
    """
    if not opened.device.indices:
        raise DeviceError(
            "Energy is measured on a GPU.", received=str(opened.device), expected="such as cuda:0"
        )
    meter = power_meter(opened.device.indices[0])
    idle = meter.spent(lambda: time.sleep(_PAUSE_S), rest_s)
    sizes = [
        _row(meter, calls_of(opened.runtime, opened.examples(size)), size, seconds, idle.watts)
        for size in opened.batch_sizes
    ]
    return {
        "idle_w": idle.watts,
        "method": idle.method,
        "others": gpu_reading(opened.device.indices[0]).get("others"),
        "sizes": sizes,
    }


def _row(
    meter: PowerMeter,
    calls: Sequence[Callable[[], object]],
    size: int,
    seconds: float,
    idle_w: float,
) -> dict[str, Any]:
    turns = itertools.cycle(calls)
    spent = meter.spent(lambda: next(turns)(), seconds)
    samples = spent.calls * size
    above = spent.joules - idle_w * spent.seconds
    return {
        "batch_size": size,
        "j_per_1000": spent.joules / samples * 1e3,
        "j_per_1000_above_idle": above / samples * 1e3,
        "watts": spent.watts,
        "seconds": spent.seconds,
        "samples": samples,
        "method": spent.method,
    }
