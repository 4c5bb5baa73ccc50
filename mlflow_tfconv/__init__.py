"""Train, convert, compress, benchmark and register TensorFlow and Keras models with MLflow.

Every name is found when it is first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "ParityError": "mlflow_tfconv.errors",
    "Recipe": "mlflow_tfconv.recipe",
    "TfconvError": "mlflow_tfconv.errors",
    "benchmark": "mlflow_tfconv.steps.benchmark.step",
    "check_parity": "mlflow_tfconv.runtimes.parity",
    "compress": "mlflow_tfconv.steps.compress.step",
    "convert": "mlflow_tfconv.steps.convert.step",
    "inspect_model": "mlflow_tfconv.steps.convert.inspection",
    "read_dataset": "mlflow_tfconv.data.reading",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Finds a public name in its room."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
