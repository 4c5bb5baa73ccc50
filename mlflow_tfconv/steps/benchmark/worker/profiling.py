"""The worker's command `profile`: where the time of a run goes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.steps.benchmark.worker.arena import arena
from mlflow_tfconv.steps.benchmark.worker.profile_plan import MOST_CALLS

if TYPE_CHECKING:
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_PROFILERS = {
    "onnx": ("onnx_profile", "onnx_profile"),
    "saved_model": ("tensorflow_profile", "tensorflow_profile"),
    "keras": ("tensorflow_profile", "tensorflow_profile"),
    "keras_h5": ("tensorflow_profile", "tensorflow_profile"),
}


def profile(
    opened: OpenedModel,
    *,
    batch_size: int | None = None,
    seconds: float = 0.2,
    most_runs: int = 50,
) -> dict[str, Any]:
    """Profiles the model.

    Args:
        opened: The model, opened as it is timed.
        batch_size: Examples in a run; None takes the first that is timed.
        seconds: For all profiled runs; a slow model gets three of them in any case.
        most_runs: Limit of their number.

    Returns:
        What `profile_files.written_profile` gives, and for an ONNX file `arena`: what `arena.arena`
        gives, which records every call too; None where loops make too many of them.
    """
    module, name = _PROFILERS[opened.job.format]
    profiler = getattr(import_module(f"mlflow_tfconv.steps.benchmark.worker.{module}"), name)
    size = opened.batch_sizes[0] if batch_size not in opened.batch_sizes else batch_size
    found: dict[str, Any] = profiler(opened, size, seconds=seconds, most_runs=most_runs)
    if opened.job.format != "onnx":
        return found
    return {**found, "arena": arena(opened) if found["call_count"] <= MOST_CALLS else None}
