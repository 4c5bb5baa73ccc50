"""Where border mode "same" of Theano differs from TensorFlow's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from mlflow_tfconv.runtimes.layers_of_old.theano_padding import HalfPadded, TheanoPooling
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.in_their_order import in_their_order
from mlflow_tfconv.sources.keras.translated import Translated

_AVERAGES = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
_SPATIAL = {"1D": 1, "2D": 2, "3D": 3}


def pads_otherwise(layer: LayerConfig, spatial: int) -> bool:
    """Whether Theano pads a convolution otherwise than TensorFlow."""
    if not layer.around.dialect.flips_kernels or layer.get("padding") != "same":
        return False
    steps = _sizes(layer.get("strides", 1), spatial)
    kernel = _sizes(layer.arguments["kernel_size"], spatial)
    return any(step > 1 for step in steps) or any(size % 2 == 0 for size in kernel)


def half_padded(layer: LayerConfig, spatial: int) -> Callable[[Any], Any] | None:
    """Pads a convolution as Theano does; None where TensorFlow does the same."""
    if not pads_otherwise(layer, spatial):
        return None
    kernel = _sizes(layer.arguments["kernel_size"], spatial)
    dilations = _sizes(layer.get("dilation_rate", 1), spatial)
    sizes = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    return lambda convolution: HalfPadded(
        convolution,
        padding=[size // 2 for size in sizes],
        strides=_sizes(layer.get("strides", 1), spatial),
        cut=[size % 2 == 0 for size in kernel],
        name=f"{layer.today}_padded" if layer.channels_first else layer.today,
    )


def pools_otherwise(layer: LayerConfig) -> bool:
    """Whether Theano pools otherwise than TensorFlow."""
    return layer.around.dialect.flips_kernels and layer.get("padding") == "same"


def theano_pooling(today: Any, layer: LayerConfig) -> Translated:
    """A pooling with border mode "same" of Theano."""
    spatial = _SPATIAL[layer.class_name[-2:]]
    size = _sizes(layer.get("pool_size", 2), spatial)
    return in_their_order(
        TheanoPooling,
        layer,
        pool_size=size,
        strides=_sizes(layer.get("strides", list(size)), spatial),
        average=today in _AVERAGES,
    )


def _sizes(said: Any, spatial: int) -> tuple[int, ...]:
    return (said,) * spatial if isinstance(said, int) else tuple(said)
