"""Convolutions of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import layers

from mlflow_tfconv.runtimes.layers_of_old.convolution import Deconvolution2D
from mlflow_tfconv.sources.keras.activations import activation
from mlflow_tfconv.sources.keras.kernels import (
    flipped_in_space,
    kernel_layouts,
    orders_of,
    transposed_orders_of,
)
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.in_their_order import in_their_order
from mlflow_tfconv.sources.keras.layers.plain import note_unknown
from mlflow_tfconv.sources.keras.layers.theano import half_padded, pads_otherwise
from mlflow_tfconv.sources.keras.stored_layer import Array
from mlflow_tfconv.sources.keras.translated import Translated, WeightLayout

_PLACE = ("strides", "padding", "dilation_rate", "use_bias", "groups")
_CONV = ("filters", "kernel_size", *_PLACE)
_TRANSPOSED = ("filters", "kernel_size", "strides", "padding", "dilation_rate", "use_bias")


def _convolution(today: Any, spatial: int) -> Callable[[LayerConfig], Translated]:
    def translate(layer: LayerConfig) -> Translated:
        translated = _made(today, layer, _CONV, spatial, kernels=("kernel",))
        flipped = layer.around.dialect.flips_kernels
        if spatial == 1 and layer.around.dialect.first:
            translated.layouts = _first_conv1d(translated, flipped)
        else:
            orders = orders_of(layer, spatial)
            translated.layouts = kernel_layouts(translated, orders, flipped=flipped)
        return translated

    return translate


def _first_conv1d(translated: Translated, flipped: bool) -> Callable[[], Sequence[WeightLayout]]:
    """Keras 1 kept (length, 1, in, out), its first versions (out, in, length, 1)."""

    def layout(order: tuple[int, ...]) -> WeightLayout:
        plain = translated.plain_layout()
        length, *rest = plain.shapes[0]
        four = (length, 1, *rest)
        stored = tuple(four[order.index(axis)] for axis in range(4))

        def values(arrays: Sequence[Array]) -> Sequence[Array]:
            kernel = np.transpose(arrays[0], order)[:, 0]
            return [flipped_in_space(kernel) if flipped else kernel, *arrays[1:]]

        return WeightLayout(
            names=plain.names,
            shapes=(stored, *plain.shapes[1:]),
            values=values,
            trainable=plain.trainable,
        )

    apart = kernel_layouts(translated, ((0, 1, 2),), flipped=flipped)
    return lambda: (layout((0, 1, 2, 3)), layout((2, 3, 1, 0)), *apart())


def _transposed(today: Any, spatial: int) -> Callable[[LayerConfig], Translated]:
    def translate(layer: LayerConfig) -> Translated:
        names = (*_TRANSPOSED, "output_padding")
        translated = _made(today, layer, names, spatial, kernels=("kernel",))
        orders = transposed_orders_of(layer, spatial)
        flipped = layer.around.dialect.flips_kernels
        translated.layouts = kernel_layouts(translated, orders, flipped=flipped)
        return translated

    return translate


def _deconvolution(layer: LayerConfig) -> Translated:
    shape = layer.arguments["output_shape"]
    size = shape[2:4] if layer.channels_first else shape[1:3]
    layer = layer.with_arguments(output_size=size, output_shape=None)
    names = ("filters", "kernel_size", "strides", "padding", "use_bias", "output_size")
    translated = _made(Deconvolution2D, layer, names, 2)
    orders = transposed_orders_of(layer, 2)
    flipped = layer.around.dialect.flips_kernels
    translated.layouts = kernel_layouts(translated, orders, flipped=flipped)
    return translated


def _depthwise(today: Any, spatial: int) -> Callable[[LayerConfig], Translated]:
    names = ("kernel_size", "depth_multiplier", "strides", "padding", "dilation_rate", "use_bias")
    return lambda layer: _made(today, layer, names, spatial, kernels=("depthwise",))


def _separable(today: Any, spatial: int) -> Callable[[LayerConfig], Translated]:
    names = ("filters", "kernel_size", "depth_multiplier", *_PLACE[:-1])

    def translate(layer: LayerConfig) -> Translated:
        translated = _made(today, layer, names, spatial, kernels=("depthwise", "pointwise"))
        orders = orders_of(layer, spatial)
        translated.layouts = kernel_layouts(translated, orders, kernels=2)
        return translated

    return translate


def _made(
    today: Any,
    layer: LayerConfig,
    names: Sequence[str],
    spatial: int,
    *,
    kernels: Sequence[str] = (),
) -> Translated:
    note_unknown(
        layer, {*names, "data_format", "activation", "output_padding", "groups", "output_shape"}
    )
    if layer.get("padding") == "full":
        raise layer.refused(
            "its border mode is 'full', which TensorFlow does not have",
            "Convert this model with a ZeroPadding layer and border mode 'valid' in its place.",
        )
    given = {name: value for name, value in layer.kept(names).items() if value is not None}
    given = {n: v[0] if isinstance(v, tuple) and len(v) == 1 else v for n, v in given.items()}
    zeros: dict[str, Any] = {f"{name}_initializer": "zeros" for name in kernels}
    dressed = half_padded(layer, spatial) if today not in _TURNED else None
    if dressed is not None:
        given["padding"] = "valid"
    if today in _TURNED and layer.get("padding") == "same" and pads_otherwise(layer, spatial):
        raise layer.refused(
            "Theano pads a transposed convolution of this kernel size and stride otherwise",
            "If the model was trained on TensorFlow: original_backend='tensorflow'.",
        )
    functions = {"activation": activation(layer)}
    return in_their_order(today, layer, dressed=dressed, **functions, **given, **zeros)


_TURNED = (
    Deconvolution2D, layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose,
)  # fmt: skip


LAYERS: dict[str, Any] = {
    "Conv1D": _convolution(layers.Conv1D, 1),
    "Conv2D": _convolution(layers.Conv2D, 2),
    "Conv3D": _convolution(layers.Conv3D, 3),
    "Conv1DTranspose": _transposed(layers.Conv1DTranspose, 1),
    "Conv2DTranspose": _transposed(layers.Conv2DTranspose, 2),
    "Conv3DTranspose": _transposed(layers.Conv3DTranspose, 3),
    "Deconvolution2D": _deconvolution,
    "DepthwiseConv1D": _depthwise(layers.DepthwiseConv1D, 1),
    "DepthwiseConv2D": _depthwise(layers.DepthwiseConv2D, 2),
    "SeparableConv1D": _separable(layers.SeparableConv1D, 1),
    "SeparableConv2D": _separable(layers.SeparableConv2D, 2),
}
