"""Layers that work in training alone: at inference they give what they get."""

from __future__ import annotations

from typing import Any

from keras import layers

from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made, plain
from mlflow_tfconv.sources.keras.translated import Translated


def _nothing(layer: LayerConfig) -> Translated:
    return made(layers.Identity, layer)


_AUGMENTATIONS = (
    "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast",
    "RandomBrightness", "RandomWidth", "RandomHeight", "StochasticDepth",
)  # fmt: skip

LAYERS: dict[str, Any] = {
    "Dropout": plain(layers.Dropout, "rate", ignored=("noise_shape",)),
    "AlphaDropout": plain(layers.AlphaDropout, "rate", ignored=("noise_shape",)),
    "GaussianDropout": plain(layers.GaussianDropout, "rate"),
    "GaussianNoise": plain(layers.GaussianNoise, "stddev"),
    "SpatialDropout1D": plain(layers.SpatialDropout1D, "rate", ignored=("noise_shape",)),
    "SpatialDropout2D": plain(
        layers.SpatialDropout2D, "rate", "data_format", ignored=("noise_shape",)
    ),
    "SpatialDropout3D": plain(
        layers.SpatialDropout3D, "rate", "data_format", ignored=("noise_shape",)
    ),
    "ActivityRegularization": plain(layers.ActivityRegularization, "l1", "l2"),
    **dict.fromkeys(_AUGMENTATIONS, _nothing),
}
