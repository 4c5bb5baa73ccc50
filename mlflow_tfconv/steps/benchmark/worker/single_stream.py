"""Single stream: one batch after the other, each timed; one turn of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.gpu_state import gpu_of_turn
from mlflow_tfconv.steps.benchmark.worker.job import samples_file
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel
from mlflow_tfconv.steps.benchmark.worker.scenario_batches import calls_of
from mlflow_tfconv.steps.benchmark.worker.timing import timed


def timed_turn(
    opened: OpenedModel, *, batch_size: int, turn: int, **limits: float
) -> dict[str, Any]:
    """Times batches of one size for a while.

    Args:
        opened: The model.
        batch_size: Examples a batch.
        turn: Names the file.
        **limits: As for `timed`.

    Returns:
        `file` (int64 nanoseconds, one a run), `count`, `warmup_count`, and what the machine did
        meanwhile under the names of `statistics/likely_reasons.py`.
    """
    calls = calls_of(opened.runtime, opened.examples(batch_size))
    timing = timed(calls, **limits)
    file = samples_file(opened.folder, batch_size, turn)
    np.save(file, timing.samples_ns)
    return {
        "batch_size": batch_size,
        "turn": turn,
        "file": file.name,
        "count": len(timing.samples_ns),
        "warmup_count": timing.warmup_count,
        "steady": timing.steady,
        **timing.conditions,
        **gpu_of_turn(opened),
    }
