"""Models to be logged as plain values for a job, and the verdict on what came back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.events import ModelFile
from mlflow_tfconv.errors import TrackingError

_PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
}


def job_of(
    event: ModelFile,
    child: str,
    tracking_uri: str,
    device: Device,
    *,
    recipe: str,
    recipe_root: Path | None = None,
) -> dict[str, Any]:
    """One job of `tracking.models.log_models`."""
    return {
        # What MLflow's names of logged models can't hold becomes a hyphen.
        "name": re.sub(r"[/:.%\"']", "-", event.run),
        "recipe": recipe,
        "recipe_root": None if recipe_root is None else str(recipe_root),
        "tracking_uri": tracking_uri,
        "run_id": child,
        "format": event.format,
        "path": str(event.path),
        "inputs": [_plain(spec) for spec in event.inputs],
        "outputs": [_plain(spec) for spec in event.outputs],
        "examples": None if event.examples is None else str(event.examples),
        "providers": _PROVIDERS[device.kind],
    }


def judged(events: Sequence[ModelFile], results: Sequence[dict[str, Any]]) -> None:
    """Refuses models that could not be logged, or came back as something else.

    Raises:
        TrackingError: With every such model.
    """
    lines = [
        f"  {event.run} ({event.path}): {result['failure'] or result['problem']}"
        for event, result in zip(events, results, strict=True)
        if result["failure"] or result["problem"]
    ]
    if lines:
        raise TrackingError(
            "Models could not be logged to MLflow and loaded back:\n" + "\n".join(lines),
            fix="Run the same command again; what is logged already is kept.",
        )


def _plain(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}
