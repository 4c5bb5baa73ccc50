"""The worker's command `bound`: single stream with inputs and outputs that stay on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.timing import timed

if TYPE_CHECKING:  # the opened model knows all commands
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel


def bound(opened: OpenedModel, **limits: float) -> dict[str, Any]:
    """Times each batch size as single stream does, without copies between host and device.

    On the CPU what is saved is the allocation of the outputs.

    Args:
        opened: The model.
        **limits: As for `timing.timed`.

    Returns:
        `batches`: batch_size, file (int64 nanoseconds, one a run), count, steady, warmup_count, and
        what the machine did meanwhile; `skipped`: why there are none, or None.
    """
    batches = []
    for size in opened.batch_sizes:
        calls = _calls(opened, size)
        if calls is None:
            return {"batches": [], "skipped": "its inputs or outputs are no tensors of numbers"}
        timing = timed(calls, **limits)
        file = opened.folder / f"bound_b{size}.npy"
        np.save(file, timing.samples_ns)
        batches.append(
            {
                "batch_size": size,
                "file": file.name,
                "count": len(timing.samples_ns),
                "warmup_count": timing.warmup_count,
                "steady": timing.steady,
                **timing.conditions,
            }
        )
    return {"batches": batches, "skipped": None}


def _calls(opened: OpenedModel, size: int) -> list[Callable[[], object]] | None:
    found = [opened.runtime.bound_call_for(batch) for batch in opened.examples(size)]
    calls = [call for call in found if call is not None]
    return calls if len(calls) == len(found) else None
