"""Layers of darknet without weights, as layers and operations of Keras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mlflow_tfconv.sources.darknet.activations import activated
from mlflow_tfconv.sources.darknet.feature import (
    Feature,
    feature_from_darknet,
    feature_from_flat,
)
from mlflow_tfconv.sources.darknet.geometry import pool_window
from mlflow_tfconv.sources.darknet.network import Layer

#: What stands for "nothing here" in darknet's maxpool: -FLT_MAX.
_LOWEST = -3.4028235e38

#: Images lie so inside, whatever Keras was told elsewhere.
_FORMAT = "channels_last"


def maxpool(layer: Layer, features: Sequence[Feature]) -> Feature:
    """The largest value in each window; outside the image there is none."""
    tensor = features[0].tensor
    _, height, width = features[0].shape
    window = pool_window(layer.section, (height, width))
    same = window.same
    if not same:
        (below, right), before = window.after, window.before
        tensor = tensor[:, : height + min(below, 0), : width + min(right, 0), :]
        pads = ((0, 0), (before, max(below, 0)), (before, max(right, 0)), (0, 0))
        if any(map(any, pads)):
            tensor = ops.pad(tensor, pads, constant_values=_LOWEST)
    pool = keras.layers.MaxPooling2D(
        window.size,
        strides=window.strides,
        padding="same" if same else "valid",
        data_format=_FORMAT,
        name=f"{layer.name}_pool",
    )
    return Feature(pool(tensor), layer.shape)


def avgpool(layer: Layer, features: Sequence[Feature]) -> Feature:
    """The mean of each channel."""
    pool = keras.layers.GlobalAveragePooling2D(
        data_format=_FORMAT, keepdims=True, name=f"{layer.name}_mean"
    )
    return Feature(pool(features[0].tensor), layer.shape)


def upsample(layer: Layer, features: Sequence[Feature]) -> Feature:
    """Every value repeated, times `scale`."""
    stride = layer.section.whole("stride", 2, 1)
    repeat = keras.layers.UpSampling2D(stride, data_format=_FORMAT, name=f"{layer.name}_repeat")
    tensor, scale = repeat(features[0].tensor), layer.section.number("scale", 1.0)
    return Feature(tensor if scale == 1 else scale * tensor, layer.shape)


def reorg(layer: Layer, features: Sequence[Feature]) -> Feature:
    """Space to channels as darknet does it (reorg_cpu in blas.c): by numbers, not by places.

    Forwards it takes an image of (c, h, w) for one of (c / s^2, h s, w s), and picks from that.
    """
    channels, height, width = features[0].shape
    stride = layer.section.whole("stride", 1, 1)
    few = channels // stride**2
    reverse = layer.section.whole("reverse", 0)
    if reverse:
        between, order = (stride, stride, few, height, width), (0, 3, 4, 1, 5, 2)
    else:
        between, order = (few, height, stride, width, stride), (0, 3, 5, 1, 2, 4)
    tensor = keras.layers.Reshape(between)(features[0].as_darknet())
    tensor = keras.layers.Permute(order[1:])(tensor)
    return feature_from_darknet(keras.layers.Reshape(layer.shape)(tensor), layer.shape)


def route(layer: Layer, features: Sequence[Feature]) -> Feature:
    """Layers behind one another in channels, or a part of the channels of each."""
    groups, group = layer.section.whole("groups", 1, 1), layer.section.whole("group_id", 0)
    parts = []
    for feature in features:
        step = feature.shape[0] // groups
        tensor = feature.tensor
        parts.append(tensor if groups == 1 else tensor[..., group * step : (group + 1) * step])
    joined = (
        parts[0] if len(parts) == 1 else keras.layers.Concatenate(name=f"{layer.name}_join")(parts)
    )
    return Feature(joined, layer.shape)


def shortcut(layer: Layer, features: Sequence[Feature]) -> Feature:
    """Sum with other layers, over the channels that both have."""
    alpha, beta = (layer.section.number(key, 1.0) for key in ("alpha", "beta"))
    tensor = features[0].tensor
    for other in features[1:]:
        common = min(layer.shape[0], other.shape[0])
        rest = tensor[..., common:] if common < layer.shape[0] else None
        tensor = _scaled(_first(tensor, common), alpha) + _scaled(
            _first(other.tensor, common), beta
        )
        if rest is not None:
            tensor = ops.concatenate([tensor, rest], axis=-1)
    return Feature(activated(tensor, layer.section, "linear", layer.name), layer.shape)


def multiplied(layer: Layer, features: Sequence[Feature]) -> Feature:
    """[scale_channels] and [sam]."""
    tensor = features[0].tensor * features[1].tensor
    return Feature(activated(tensor, layer.section, "linear", layer.name), layer.shape)


def activation(layer: Layer, features: Sequence[Feature]) -> Feature:
    """An activation alone."""
    tensor = activated(features[0].tensor, layer.section, "linear", layer.name)
    return Feature(tensor, layer.shape)


def logistic(layer: Layer, features: Sequence[Feature]) -> Feature:
    """The sigmoid of a [logistic] loss."""
    return Feature(ops.sigmoid(features[0].tensor), layer.shape)


def softmax(layer: Layer, features: Sequence[Feature]) -> Feature:
    """Over all values of an example, over each of its groups, or (`spatial`) over channels."""
    temperature = layer.section.number("temperature", 1.0)
    if layer.section.number("spatial", 0.0):
        scaled = _scaled(features[0].tensor, 1 / temperature)
        return Feature(_softmax(layer)(scaled), layer.shape)
    groups, size = layer.section.whole("groups", 1, 1), math.prod(layer.shape)
    flat = _scaled(features[0].flat(), 1 / temperature)
    tensor = keras.layers.Reshape((groups, size // groups))(flat)
    tensor = keras.layers.Reshape((size,))(_softmax(layer)(tensor))
    return feature_from_flat(tensor, layer.shape)


def _softmax(layer: Layer) -> Any:
    """Over the last axis. Names that Keras makes up, softmax_3, may be those of layers here."""
    return keras.layers.Softmax(name=f"{layer.name}_exponential")


def crop(layer: Layer, features: Sequence[Feature]) -> Feature:
    """The middle; values of [0, 1] become [-1, 1] unless `noadjust`."""
    _, height, width = features[0].shape
    _, rows, columns = layer.shape
    top, left = (height - rows) // 2, (width - columns) // 2
    tensor = features[0].tensor[:, top : top + rows, left : left + columns, :]
    adjusted = tensor if layer.section.whole("noadjust", 0) else 2.0 * tensor - 1.0
    return Feature(adjusted, layer.shape)


def same(layer: Layer, features: Sequence[Feature]) -> Feature:
    """What only matters in training, and the raw values of a detection head."""
    return Feature(features[0].tensor, layer.shape)


def _first(tensor: Any, count: int) -> Any:
    return tensor if tensor.shape[-1] == count else tensor[..., :count]


def _scaled(tensor: Any, factor: float) -> Any:
    return tensor if factor == 1 else factor * tensor
