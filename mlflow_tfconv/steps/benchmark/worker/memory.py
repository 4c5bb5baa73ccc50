"""What the model takes at each batch size, the smallest first; and the command that tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow_tfconv.steps.benchmark.worker.host_memory import host_resident_bytes

if TYPE_CHECKING:
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_MB = 1_000_000


def memory_readings(opened: OpenedModel) -> dict[str, Any]:
    """Runs a few batches of each size and reads the peaks.

    Arenas keep what they have taken, so that the sizes come in ascending order; and they settle
    within a few runs. It is to be called before anything is timed.

    Args:
        opened: The model, just opened.

    Returns:
        What `MemoryWatch.told` tells, and `input_bytes`: what the inputs took meanwhile.
    """
    before = host_resident_bytes()
    batches = {size: opened.examples(size) for size in sorted(opened.batch_sizes)}
    after = host_resident_bytes()
    for size, few in batches.items():
        with opened.memory.phase(f"b{size}"):
            for batch in (few[0], few[-1], few[0]):
                opened.runtime.predict(batch)
    grown = None if before is None or after is None else max(after - before, 0)
    return {**opened.memory.told(opened.folder), "input_bytes": grown}


def memory(opened: OpenedModel, *, budget_mb: float | None = None) -> dict[str, Any]:
    """The command `memory`: what was read while the model was opened, and what was allowed.

    Args:
        opened: The model.
        budget_mb: Handed on to whoever reads the answer.
    """
    limit = opened.device.options.memory_limit_mb if opened.device.kind != "cpu" else None
    return {
        **opened.readings,
        "batch_sizes": sorted(opened.batch_sizes),
        "device": str(opened.device),
        "format": opened.job.format,
        "gpu_limit_bytes": None if limit is None else limit * _MB,
        "budget_mb": budget_mb,
    }
