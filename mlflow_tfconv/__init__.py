"""Train, convert, compress, benchmark and register TensorFlow and Keras models with MLflow.

Every name is found when it is first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.environment import set_defaults

if TYPE_CHECKING:  # what editors and type checkers see of the names below
    from mlflow_tfconv.data.reading import read_dataset
    from mlflow_tfconv.errors import ParityError, TfconvError
    from mlflow_tfconv.recipe import Recipe
    from mlflow_tfconv.runtimes.parity import check_parity
    from mlflow_tfconv.steps.benchmark.estimate.function import estimate_memory
    from mlflow_tfconv.steps.benchmark.step import benchmark
    from mlflow_tfconv.steps.compress.step import compress
    from mlflow_tfconv.steps.convert.function import convert
    from mlflow_tfconv.steps.convert.inspection import inspect_model
    from mlflow_tfconv.steps.ingest.function import ingest

__all__ = [
    "ParityError",
    "Recipe",
    "TfconvError",
    "benchmark",
    "check_parity",
    "compress",
    "convert",
    "estimate_memory",
    "ingest",
    "inspect_model",
    "read_dataset",
]

_HOMES = {
    "ParityError": "mlflow_tfconv.errors",
    "Recipe": "mlflow_tfconv.recipe",
    "TfconvError": "mlflow_tfconv.errors",
    "benchmark": "mlflow_tfconv.steps.benchmark.step",
    "check_parity": "mlflow_tfconv.runtimes.parity",
    "compress": "mlflow_tfconv.steps.compress.step",
    "convert": "mlflow_tfconv.steps.convert.function",
    "estimate_memory": "mlflow_tfconv.steps.benchmark.estimate.function",
    "ingest": "mlflow_tfconv.steps.ingest.function",
    "inspect_model": "mlflow_tfconv.steps.convert.inspection",
    "read_dataset": "mlflow_tfconv.data.reading",
}


if not TYPE_CHECKING:  # a checker would take every misspelt name for one that is found here

    def __getattr__(name: str) -> Any:
        """Finds a public name in its room."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        set_defaults()
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names too, for completion at a prompt."""
    return sorted({*globals(), *__all__})
