"""Traces a Keras model that a reader made of something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_keras import traced_from_keras
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions


def traced_from_reading(
    path: Path, reading: KerasReading, options: SourceOptions, *, device: Device
) -> Traced:
    """Traces the model, and says what was chosen while it was read.

    Args:
        path: Where it was read from.
        reading: The live model.
        options: What the user says.
        device: Where to compute.

    Raises:
        ConversionError: Its inputs can't be told.
    """
    traced = traced_from_keras(path, options, device=device, model=reading.model)
    return replace(
        traced,
        source_format=reading.source_format,
        choices=(*reading.choices, *traced.choices),
        warnings=(*reading.warnings, *traced.warnings),
    )
