"""Reads weights of darknet with the architecture that they belong to."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_keras import traced_from_reading
from mlflow_tfconv.sources.darknet.darknet_model import darknet_model
from mlflow_tfconv.sources.keras.keras_reading import with_chosen_tensors
from mlflow_tfconv.sources.options import SourceOptions


def traced_from_darknet(
    path: Path, options: SourceOptions = SourceOptions(), *, device: Device
) -> Traced:
    """Traces the network; images are (batch, channels, height, width), as in darknet.

    Args:
        path: The weights, or the architecture when `options.weights` names the weights or they
            lie beside it.
        options: `architecture`, `weights`, `outputs`, `shapes`.
        device: Where to compute.

    Raises:
        ConversionError: Something can't be read, or weights and architecture don't fit.
    """
    reading = with_chosen_tensors(darknet_model(path, options), options)
    return traced_from_reading(reading, path, options, device=device)
