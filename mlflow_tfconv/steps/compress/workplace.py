"""What variants are made of, and with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.events import Emit, ignore
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.steps.compress.calibration import Examples

# Names of files in the folder of a stage.
MODEL = "model.onnx"
KERAS_MODEL = "model.keras"
FACTS = "facts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What variants are made of, and with.

    Attributes:
        onnx: The model.
        keras: The same as a Keras file, or None.
        examples: For calibration, fine-tuning and trying out.
        parts: Keeps the stages.
        ingredients: What decides every stage: digests of model and data, versions, seed.
        training_code: Digest of the user's code that fine-tuning runs.
        recipe_root: The folder that holds steps/train.py, or None.
        device: Where exports are made and compared.
        emit: Takes progress.
    """

    onnx: Path
    keras: Path | None
    examples: Examples
    parts: Parts
    ingredients: Mapping[str, Any] = field(default_factory=dict)
    training_code: str = ""
    recipe_root: Path | None = None
    device: Device = field(default_factory=Device)
    emit: Emit = ignore
