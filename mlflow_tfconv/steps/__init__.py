"""The steps of a recipe, each in a room of its own; found when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow_tfconv.engine.step import Step as StepClass

ROOMS = ("ingest", "train", "convert", "compress", "benchmark", "register")

_HOMES = {
    "Step": "mlflow_tfconv.engine.step",
    "StepContext": "mlflow_tfconv.engine.step",
    "StepResult": "mlflow_tfconv.engine.step",
} | {
    f"{room.capitalize()}{kind}": f"mlflow_tfconv.steps.{room}.{kind.lower()}"
    for room in ROOMS
    for kind in ("Step", "Config")
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 (one table serves both)


def __getattr__(name: str) -> Any:
    """Finds a step or its config in its room."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def step_class(room: str) -> type[StepClass[Any]]:
    """The built-in step of a room."""
    found: type[StepClass[Any]] = __getattr__(f"{room.capitalize()}Step")
    return found
