"""What the model takes at each batch size, the smallest first."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.steps.benchmark.worker.host_memory import host_resident_bytes
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel


def memory(opened: OpenedModel) -> dict[str, Any]:
    """Runs a few batches of each size and reads the peaks.

    Arenas keep what they have taken, so that the sizes come in ascending order; and they settle
    within a few runs. It is to be given before anything is timed.

    Args:
        opened: The model, just opened.

    Returns:
        What `MemoryWatch.told` tells, `input_bytes`: what made-up inputs took meanwhile, and
        `batch_sizes`.
    """
    before = host_resident_bytes()
    batches = {size: opened.examples(size) for size in sorted(opened.batch_sizes)}
    after = host_resident_bytes()
    for size, few in batches.items():
        with opened.memory.phase(f"b{size}"):
            for batch in (few[0], few[-1], few[0]):
                opened.runtime.predict(batch)
    grown = None if before is None or after is None else max(after - before, 0)
    return {**opened.memory.told(opened.folder), "input_bytes": grown, "batch_sizes": [*batches]}
