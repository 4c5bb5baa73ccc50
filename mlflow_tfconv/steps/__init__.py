"""The steps of a recipe, each in a room of its own; found when first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

ROOMS = ("ingest", "train", "convert", "compress", "benchmark", "register")

_HOMES = {
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
