"""The steps of a recipe, each in a room of its own; found when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers see of the names below
    from mlflow_tfconv.engine.step import Step, StepContext, StepResult
    from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
    from mlflow_tfconv.steps.benchmark.step import BenchmarkStep
    from mlflow_tfconv.steps.compress.config import CompressConfig
    from mlflow_tfconv.steps.compress.step import CompressStep
    from mlflow_tfconv.steps.convert.config import ConvertConfig
    from mlflow_tfconv.steps.convert.step import ConvertStep
    from mlflow_tfconv.steps.ingest.config import IngestConfig
    from mlflow_tfconv.steps.ingest.step import IngestStep
    from mlflow_tfconv.steps.register.config import RegisterConfig
    from mlflow_tfconv.steps.register.step import RegisterStep
    from mlflow_tfconv.steps.train.config import TrainConfig
    from mlflow_tfconv.steps.train.step import TrainStep

__all__ = [
    "BenchmarkConfig",
    "BenchmarkStep",
    "CompressConfig",
    "CompressStep",
    "ConvertConfig",
    "ConvertStep",
    "IngestConfig",
    "IngestStep",
    "RegisterConfig",
    "RegisterStep",
    "Step",
    "StepContext",
    "StepResult",
    "TrainConfig",
    "TrainStep",
]

ROOMS = ("ingest", "train", "convert", "compress", "benchmark", "register")

_HOMES = dict.fromkeys(("Step", "StepContext", "StepResult"), "mlflow_tfconv.engine.step") | {
    f"{room.capitalize()}{kind}": f"mlflow_tfconv.steps.{room}.{kind.lower()}"
    for room in ROOMS
    for kind in ("Step", "Config")
}


if not TYPE_CHECKING:  # a checker would take every misspelt name for one that is found here

    def __getattr__(name: str) -> Any:
        """Finds a step or its config in its room."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names too, for completion at a prompt."""
    return sorted({*globals(), *__all__})


def step_class(room: str) -> type[Step[Any]]:
    """The built-in step of a room."""
    name = f"{room.capitalize()}Step"
    found: type[Step[Any]] = getattr(import_module(_HOMES[name]), name)
    return found
