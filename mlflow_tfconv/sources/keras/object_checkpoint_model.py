"""Reads a Keras model whose weights lie in a TensorFlow 2 checkpoint."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.keras.architecture import architecture_from_file
from mlflow_tfconv.sources.keras.build_model import build_model
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.keras.weights_from_object_checkpoint import (
    weights_from_object_checkpoint,
)
from mlflow_tfconv.sources.options import SourceOptions

_FORMAT = "object_checkpoint"


def object_checkpoint_model(
    architecture: Path, checkpoint: Path, options: SourceOptions
) -> KerasReading:
    """The model of an architecture file, filled from a checkpoint.

    Args:
        architecture: Keras JSON or YAML.
        checkpoint: The checkpoint's prefix, or one of its files.
        options: What the user says about the architecture.

    Raises:
        ConversionError: One can't be read, or they don't fit to the last weight.
    """
    reader = CheckpointReader(checkpoint)
    read = architecture_from_file(architecture)
    built = build_model(read.config, options, origin=read.origin)
    warnings = weights_from_object_checkpoint(built.translated, reader)
    return KerasReading(
        model=built.model,
        source_format=_FORMAT,
        choices=tuple(built.around.choices),
        warnings=(*built.around.warnings, *warnings),
    )


def architecture_needed(checkpoint: Path) -> ConversionError:
    """The error for weights alone."""
    return ConversionError(
        f"{checkpoint.name} is a checkpoint of weights only: the architecture is needed.",
        received=str(checkpoint),
        expected="the architecture as Keras JSON or YAML (model.to_json()), or a function that "
        "builds the model",
        fix="Give it: architecture=PATH_OR_FUNCTION.",
    )
