"""Finds who translates a layer. A new layer is a new row in the table of its family."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.layer_config import LayerConfig, Surroundings
from mlflow_tfconv.sources.keras.layers import (
    advanced_activations,
    attention,
    convolution,
    core,
    embedding,
    lambdas,
    local,
    merge,
    normalization,
    operations,
    passing,
    pooling,
    preprocessing,
    recurrent,
    wrappers,
)
from mlflow_tfconv.sources.keras.layers.custom import custom_class, custom_layer, unknown_layer
from mlflow_tfconv.sources.keras.translated import Translated
from mlflow_tfconv.sources.keras.words_of_keras1 import CLASSES, in_words_of_keras2

_FAMILIES = (
    advanced_activations, attention, convolution, core, embedding, lambdas, local, merge,
    normalization, operations, passing, pooling, preprocessing, recurrent, wrappers,
)  # fmt: skip
TRANSLATORS: dict[str, Any] = {
    name: translator for family in _FAMILIES for name, translator in family.LAYERS.items()
}
#: Other names of the same classes.
_SAME = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "UnifiedLSTM": "LSTM",
    "UnifiedGRU": "GRU",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
}


def translate_layer(written: dict[str, Any], around: Surroundings) -> Translated:
    """A layer of today for the one that a config describes.

    Args:
        written: `class_name` and `config` as the file has them.
        around: What the layers of the model share.

    Raises:
        ConversionError: The layer is refused, unknown, or described in a way that can't be.
    """
    layer = layer_config(written, around)
    custom = custom_class(layer)
    if custom is not None:
        return custom_layer(layer, custom)
    translator = TRANSLATORS.get(layer.class_name)
    if translator is None:
        raise unknown_layer(layer)
    try:
        translated: Translated = translator(layer)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise ConversionError(
            f"Layer {layer.name!r} ({layer.written_as}) is described in a way that can't be.",
            received=f"{type(error).__name__}: {error}; config {layer.extra['config']}"[:600],
            fix="Check that the file was written by Keras and is whole.",
        ) from error
    return translated


def layer_config(written: dict[str, Any], around: Surroundings) -> LayerConfig:
    """What a file says of a layer, in the words of Keras 2."""
    class_name = str(written["class_name"]).rsplit(">", 1)[-1]
    config = written.get("config")
    config = config if isinstance(config, dict) else {}
    name = str(config.get("name") or written.get("name") or class_name.lower())
    words = (class_name, dict(config))
    if around.dialect.first or class_name in CLASSES:
        words = in_words_of_keras2(*words)
    return LayerConfig(
        class_name=_SAME.get(words[0], words[0]),
        written_as=class_name,
        name=name,
        arguments=words[1],
        around=around,
        extra={**written, "config": config},
    )
