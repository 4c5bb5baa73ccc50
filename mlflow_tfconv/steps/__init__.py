"""The steps of a recipe, and what a step of one's own is made of; found when first used.

A step takes and gives nouns (`Dataset`, `Checkpoint`, ...), says what it does by events (`Progress`,
`Metric`, ...), and sums it up on a `Card`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.environment import set_defaults

if TYPE_CHECKING:  # what editors and type checkers see of the names below
    from mlflow_tfconv.artifacts import (
        Audit,
        Checkpoint,
        ConvertedModel,
        Dataset,
        ParityReport,
        Registration,
        Reports,
        TensorSpec,
        Variant,
        VariantReport,
        Variants,
    )
    from mlflow_tfconv.engine.cards import Card, Picture, Table, Text
    from mlflow_tfconv.engine.events import ArtifactFile, Message, Metric, Param, Progress, Tag
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
    from mlflow_tfconv.steps.train.functions import TrainFunctions
    from mlflow_tfconv.steps.train.step import TrainStep

__all__ = [
    "ArtifactFile",
    "Audit",
    "BenchmarkConfig",
    "BenchmarkStep",
    "Card",
    "Checkpoint",
    "CompressConfig",
    "CompressStep",
    "ConvertConfig",
    "ConvertStep",
    "ConvertedModel",
    "Dataset",
    "IngestConfig",
    "IngestStep",
    "Message",
    "Metric",
    "Param",
    "ParityReport",
    "Picture",
    "Progress",
    "RegisterConfig",
    "RegisterStep",
    "Registration",
    "Reports",
    "Step",
    "StepContext",
    "StepResult",
    "Table",
    "Tag",
    "TensorSpec",
    "Text",
    "TrainConfig",
    "TrainFunctions",
    "TrainStep",
    "Variant",
    "VariantReport",
    "Variants",
]

ROOMS = ("ingest", "train", "convert", "compress", "benchmark", "register")

_SHARED = {
    "mlflow_tfconv.artifacts": (
        *("Audit", "Checkpoint", "ConvertedModel", "Dataset", "ParityReport", "Registration"),
        *("Reports", "TensorSpec", "Variant", "VariantReport", "Variants"),
    ),
    "mlflow_tfconv.engine.cards": ("Card", "Picture", "Table", "Text"),
    "mlflow_tfconv.engine.events": (
        *("ArtifactFile", "Message", "Metric", "Param", "Progress", "Tag"),
    ),
    "mlflow_tfconv.engine.step": ("Step", "StepContext", "StepResult"),
    "mlflow_tfconv.steps.train.functions": ("TrainFunctions",),
}
_HOMES = {name: home for home, names in _SHARED.items() for name in names} | {
    f"{room.capitalize()}{kind}": f"mlflow_tfconv.steps.{room}.{kind.lower()}"
    for room in ROOMS
    for kind in ("Step", "Config")
}


if not TYPE_CHECKING:  # a checker would take every misspelt name for one that is found here

    def __getattr__(name: str) -> Any:
        """Finds a name where it is at home."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        set_defaults()
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names too, for completion at a prompt."""
    return sorted({*globals(), *__all__})


def step_class(room: str) -> type[Step[Any]]:
    """The built-in step of a room."""
    name = f"{room.capitalize()}Step"
    found: type[Step[Any]] = getattr(import_module(_HOMES[name]), name)
    return found
