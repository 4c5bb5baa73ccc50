"""The worker's command `arena`: what ONNX Runtime's arenas hold, and what of it is in use."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.device import onnxruntime_session
from mlflow_tfconv.steps.benchmark.worker.allocator_memory import arenas_of_profile

if TYPE_CHECKING:
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_RUNS = 2  # the second run with a shape is the first with a plan of its memory


def arena(opened: OpenedModel) -> dict[str, Any]:
    """Runs the largest batch in a session with a profile, which tells of the arenas after each node.

    Args:
        opened: The model; it is loaded a second time, so that this is for a worker of its own.

    Returns:
        `batch_size`, and `arenas`: provider to its ArenaMemory; none from an older ONNX Runtime.
    """
    size = max(opened.batch_sizes)
    options = {
        **opened.session_options,
        "enable_profiling": True,
        "profile_file_prefix": str(opened.folder / "arena_profile"),
    }
    plain = replace(opened.device.options, cuda_graphs=False)  # a graph has no nodes to tell of
    device = replace(opened.device, options=plain)
    session = onnxruntime_session(Path(opened.job.model), device, options)
    for batch in opened.examples(size)[:1] * _RUNS:
        session.run(None, batch)
    file = Path(session.end_profiling())
    events = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return {
        "batch_size": size,
        "arenas": {name: asdict(found) for name, found in arenas_of_profile(events).items()},
    }
