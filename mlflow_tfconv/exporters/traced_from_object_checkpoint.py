"""Reads weights in a TensorFlow 2 checkpoint with the architecture that they belong to."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_built import traced_from_built
from mlflow_tfconv.exporters.traced_from_keras import traced_from_reading
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.sources.keras.keras_reading import with_chosen_tensors
from mlflow_tfconv.sources.keras.object_checkpoint_model import (
    architecture_needed,
    object_checkpoint_model,
)
from mlflow_tfconv.sources.options import SourceOptions


def traced_from_object_checkpoint(
    path: Path, options: SourceOptions = SourceOptions(), *, device: Device
) -> Traced:
    """Traces the model.

    Args:
        path: The checkpoint's prefix, or the architecture when `options.weights` names the
            checkpoint.
        options: `architecture` (Keras JSON or YAML, or a function) or `weights`.
        device: Where to compute.

    Raises:
        ConversionError: One of both is missing, can't be read, or they don't fit.
    """
    architecture, checkpoint = options.architecture, path
    if options.weights is not None and recognised(path).format in ("keras_json", "keras_yaml"):
        architecture, checkpoint = path, options.weights
    if architecture is None:
        raise architecture_needed(checkpoint)
    if not isinstance(architecture, Path):
        return traced_from_built(checkpoint, options, device=device)
    reading = object_checkpoint_model(architecture, checkpoint, options)
    return traced_from_reading(with_chosen_tensors(reading, options), path, options, device=device)
