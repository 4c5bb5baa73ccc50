"""The worker's command `estimate`: what the model's shapes say of its memory."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.errors import ConfigError, MissingLibraryError

if TYPE_CHECKING:
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_ROOM = "mlflow_tfconv.steps.benchmark.estimate"


def estimate(opened: OpenedModel, *, budget_mb: float | None = None) -> dict[str, Any]:
    """Estimates at the batch sizes that are timed, with the shapes of the examples.

    Args:
        opened: The model.
        budget_mb: The largest batch that should fit into it is told too.

    Returns:
        What `MemoryEstimate.to_dict` gives, `peak_mb` by batch size, `largest_batch` and `budget_mb`.

    Raises:
        MissingLibraryError: An ONNX file needs the package onnx for it.
    """
    where = "cpu" if opened.device.kind == "cpu" else "gpu"
    few = opened.examples(opened.batch_sizes[0])[0]
    shapes = {name: tuple(value.shape[1:]) for name, value in few.items()}
    sizes = sorted({1, *opened.batch_sizes} if opened.fixed_batch() is None else opened.batch_sizes)
    found = _estimated(opened, sizes, where, shapes)
    return {
        **found.to_dict(),
        "peak_mb": {str(n): found.peak_mb(n) for n in sizes},
        "largest_size": sizes[-1],
        "budget_mb": budget_mb,
        "largest_batch": None if budget_mb is None else _largest_batch(found, budget_mb),
    }


def _largest_batch(found: Any, budget_mb: float) -> int | None:
    """None too where the memory does not grow with the batch."""
    try:
        largest: int | None = found.largest_batch(budget_mb)
    except ConfigError:
        return None
    return largest


def _estimated(opened: OpenedModel, sizes: list[int], where: str, shapes: dict[str, Any]) -> Any:
    if opened.job.format != "onnx":
        module = importlib.import_module(f"{_ROOM}.tensorflow_estimate")
        return module.tensorflow_estimate(opened.runtime, sizes, where=where, shapes=shapes)
    try:
        module = importlib.import_module(f"{_ROOM}.onnx_estimate")
    except ImportError as error:
        raise MissingLibraryError(
            "The memory can't be estimated without the package onnx.",
            received=str(error),
            fix="pip install onnx",
        ) from error
    return module.onnx_estimate(
        opened.job.model, sizes, where=where, shapes=shapes, arena=module.arena_of(opened.device)
    )
