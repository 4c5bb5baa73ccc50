"""Poolings, paddings, croppings and upsamplings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.in_their_order import in_their_order
from mlflow_tfconv.sources.keras.layers.plain import note_unknown
from mlflow_tfconv.sources.keras.layers.theano import pools_otherwise, theano_pooling
from mlflow_tfconv.sources.keras.translated import Translated


def _spatial(today: Any, *names: str) -> Callable[[LayerConfig], Translated]:
    """Layers that keep their spatial axes."""

    def translate(layer: LayerConfig) -> Translated:
        note_unknown(layer, {*names, "data_format"})
        if "pool_size" in names and pools_otherwise(layer):
            return theano_pooling(today, layer)
        given = layer.kept(names)
        given = {n: v[0] if isinstance(v, tuple) and len(v) == 1 else v for n, v in given.items()}
        return in_their_order(today, layer, **given)

    return translate


def _temporal(today: Any, *names: str) -> Callable[[LayerConfig], Translated]:
    """Layers of sequences, which have no data format: (batch, steps, features) always."""

    def translate(layer: LayerConfig) -> Translated:
        return _spatial(today, *names)(layer.with_arguments(data_format="channels_last"))

    return translate


def _in_time(today: Any) -> Callable[[LayerConfig], Translated]:
    """Poolings of sequences; a data format came with Keras 2.2 and is often not written."""

    def translate(layer: LayerConfig) -> Translated:
        said = layer.arguments.get("data_format") or "channels_last"
        if layer.get("pool_size") is None and "pool_size" in layer.arguments:
            layer = layer.with_arguments(pool_size=2)
        names = ("pool_size", "strides", "padding")
        return _spatial(today, *names)(layer.with_arguments(data_format=said))

    return translate


def _whole(today: Any, *, in_time: bool = False) -> Callable[[LayerConfig], Translated]:
    """Poolings over all of space."""

    def translate(layer: LayerConfig) -> Translated:
        note_unknown(layer, {"data_format", "keepdims"})
        if in_time:
            said = layer.arguments.get("data_format") or "channels_last"
            layer = layer.with_arguments(data_format=said)
        keeps = bool(layer.get("keepdims", False))
        given: dict[str, Any] = {"keepdims": True} if keeps else {}
        return in_their_order(today, layer, output_axis=1 if keeps else None, **given)

    return translate


_POOL = ("pool_size", "strides", "padding")

LAYERS: dict[str, Any] = {
    "MaxPooling1D": _in_time(layers.MaxPooling1D),
    "AveragePooling1D": _in_time(layers.AveragePooling1D),
    "MaxPooling2D": _spatial(layers.MaxPooling2D, *_POOL),
    "AveragePooling2D": _spatial(layers.AveragePooling2D, *_POOL),
    "MaxPooling3D": _spatial(layers.MaxPooling3D, *_POOL),
    "AveragePooling3D": _spatial(layers.AveragePooling3D, *_POOL),
    "GlobalMaxPooling1D": _whole(layers.GlobalMaxPooling1D, in_time=True),
    "GlobalAveragePooling1D": _whole(layers.GlobalAveragePooling1D, in_time=True),
    "GlobalMaxPooling2D": _whole(layers.GlobalMaxPooling2D),
    "GlobalAveragePooling2D": _whole(layers.GlobalAveragePooling2D),
    "GlobalMaxPooling3D": _whole(layers.GlobalMaxPooling3D),
    "GlobalAveragePooling3D": _whole(layers.GlobalAveragePooling3D),
    "ZeroPadding1D": _temporal(layers.ZeroPadding1D, "padding"),
    "ZeroPadding2D": _spatial(layers.ZeroPadding2D, "padding"),
    "ZeroPadding3D": _spatial(layers.ZeroPadding3D, "padding"),
    "Cropping1D": _temporal(layers.Cropping1D, "cropping"),
    "Cropping2D": _spatial(layers.Cropping2D, "cropping"),
    "Cropping3D": _spatial(layers.Cropping3D, "cropping"),
    "UpSampling1D": _temporal(layers.UpSampling1D, "size"),
    "UpSampling2D": _spatial(layers.UpSampling2D, "size", "interpolation"),
    "UpSampling3D": _spatial(layers.UpSampling3D, "size"),
}
