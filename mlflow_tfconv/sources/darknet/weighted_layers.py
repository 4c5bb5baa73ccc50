"""Layers of darknet that have weights, as layers of Keras that hold them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mlflow_tfconv.sources.darknet.activations import activated
from mlflow_tfconv.sources.darknet.feature import Feature
from mlflow_tfconv.sources.darknet.geometry import Window, convolution_window, local_window
from mlflow_tfconv.sources.darknet.network import Layer
from mlflow_tfconv.sources.darknet.weights_file import Array, Values

#: What darknet adds to a variance: on the GPU, and in AlexeyAB's on the CPU too.
BATCH_NORM_EPSILON = 1e-5

#: Images lie so inside, whatever Keras was told elsewhere.
_FORMAT = "channels_last"


def convolutional(layer: Layer, features: Sequence[Feature], values: Values) -> Feature:
    """Convolution, batch norm or bias, activation."""
    weights = named(layer, values)
    window = _window(layer, features[0])
    kernel = weights["kernel"]
    if layer.section.whole("flipped", 0):  # (in, height, width, out) in the file
        kernel = kernel.reshape(-1, kernel.shape[0]).T.reshape(kernel.shape)
    norm = layer.section.whole("batch_normalize", 0)
    tensor = _convolved(
        layer.name, features[0].tensor, window, kernel, None if norm else weights["biases"]
    )
    if norm:
        tensor = batch_norm(tensor, weights, f"{layer.name}_norm")
    return Feature(activated(tensor, layer.section, "logistic", layer.name), layer.shape)


def connected(layer: Layer, features: Sequence[Feature], values: Values) -> Feature:
    """Matrix product over the flattened image, batch norm or bias, activation."""
    weights = named(layer, values)
    norm = layer.section.whole("batch_normalize", 0)
    dense = keras.layers.Dense(
        layer.shape[0],
        use_bias=not norm,
        kernel_initializer="zeros",
        name=f"{layer.name}_dense",
    )
    kernel = weights["kernel"].T
    tensor = held(dense, features[0].flat(), [kernel] if norm else [kernel, weights["biases"]])
    if norm:
        tensor = batch_norm(tensor, weights, f"{layer.name}_norm")
    return Feature(activated(tensor, layer.section, "logistic", layer.name), layer.shape)


def batchnorm(layer: Layer, features: Sequence[Feature], values: Values) -> Feature:
    """Batch norm alone."""
    weights = dict(named(layer, values))
    weights.setdefault("biases", np.zeros_like(weights["scales"]))
    return Feature(batch_norm(features[0].tensor, weights, f"{layer.name}_norm"), layer.shape)


def local(layer: Layer, features: Sequence[Feature], values: Values) -> Feature:
    """A convolution with a kernel of its own at every place."""
    weights = named(layer, values)
    _, *image = features[0].shape
    window = local_window(layer.section, (image[0], image[1]))
    padded = _padded(features[0].tensor, window)
    filters = weights["kernel"].shape[1]
    # (places, out, in, height, width) -> (rows, columns, height, width, in, out)
    kernel = weights["kernel"].transpose(0, 3, 4, 2, 1).reshape(*window.out, -1, filters)
    einsum = keras.layers.EinsumDense(
        "brcp,rcpn->brcn",
        (*window.out, filters),
        bias_axes="rcn",
        kernel_initializer="zeros",
        name=f"{layer.name}_local",
    )
    bias = weights["biases"].transpose(1, 2, 0)
    tensor = held(einsum, _patches(padded, window), [kernel, bias])
    return Feature(activated(tensor, layer.section, "logistic", layer.name), layer.shape)


def named(layer: Layer, values: Values) -> Mapping[str, Array]:
    """What the layer's weights are to their values."""
    return {slot.name: values[slot] for slot in layer.slots}


def held(layer: Any, tensor: Any, weights: Sequence[Array]) -> Any:
    """What a Keras layer gives for a tensor, with these weights in it."""
    result = layer(tensor)
    layer.set_weights(weights)
    return result


def batch_norm(tensor: Any, weights: Mapping[str, Array], name: str) -> Any:
    """Batch norm over the last axis, with the statistics of the file."""
    layer = keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=name)
    order = ("scales", "biases", "means", "variances")
    return held(layer, tensor, [weights[what] for what in order])


def _window(layer: Layer, feature: Feature) -> Window:
    _, height, width = feature.shape
    return convolution_window(layer.section, (height, width))


def _convolved(name: str, tensor: Any, window: Window, kernel: Array, bias: Array | None) -> Any:
    """The convolution with a kernel of (out, in of a group, height, width)."""
    if not window.same:
        tensor = _padded(tensor, window)
    filters, per_group = kernel.shape[:2]
    groups = tensor.shape[-1] // per_group
    if groups == 1:
        return _conv(f"{name}_conv", tensor, window, kernel, bias)
    if per_group == 1:
        return _depthwise(f"{name}_conv", tensor, window, kernel, bias)
    # TensorFlow convolves groups on the CPU through XLA alone, which no export can have.
    step, parts = filters // groups, []
    for group in range(groups):
        part = tensor[..., group * per_group : (group + 1) * per_group]
        some = slice(group * step, (group + 1) * step)
        chosen = None if bias is None else bias[some]
        parts.append(_conv(f"{name}_conv_{group}", part, window, kernel[some], chosen))
    return keras.layers.Concatenate(name=f"{name}_conv")(parts)


def _padded(tensor: Any, window: Window) -> Any:
    """The image with zeros around it, cut where the window never comes."""
    (below, right), before = window.after, window.before
    height, width = window.image
    if min(below, right) < 0:
        tensor = tensor[:, : height + min(below, 0), : width + min(right, 0), :]
    pads = ((before, max(below, 0)), (before, max(right, 0)))
    return (
        keras.layers.ZeroPadding2D(pads, data_format=_FORMAT)(tensor)
        if any(map(any, pads))
        else tensor
    )


def _conv(name: str, tensor: Any, window: Window, kernel: Array, bias: Array | None) -> Any:
    skips = window.dilation > 1 and max(window.strides) > 1
    layer = keras.layers.Conv2D(
        kernel.shape[0],
        window.size,
        strides=(1, 1) if skips else window.strides,
        dilation_rate=window.dilation,
        **_settings(name, window, bias),
    )
    result = held(layer, tensor, _weights(kernel.transpose(2, 3, 1, 0), bias))
    return _skipped(result, window) if skips else result


def _depthwise(name: str, tensor: Any, window: Window, kernel: Array, bias: Array | None) -> Any:
    """Filter o looks at channel o // multiplier, as in Keras."""
    filters, _, height, width = kernel.shape
    channels = tensor.shape[-1]
    down, right = window.strides
    skips = down != right or (window.dilation > 1 and down > 1)
    layer = keras.layers.DepthwiseConv2D(
        window.size,
        strides=(1, 1) if skips else window.strides,
        depth_multiplier=filters // channels,
        dilation_rate=window.dilation,
        **_settings(name, window, bias, "depthwise_initializer"),
    )
    turned = kernel.reshape(channels, -1, height, width).transpose(2, 3, 0, 1)
    result = held(layer, tensor, _weights(turned, bias))
    return _skipped(result, window) if skips else result


def _settings(
    name: str, window: Window, bias: Array | None, initializer: str = "kernel_initializer"
) -> dict[str, Any]:
    padding = "same" if window.same else "valid"
    return {
        "name": name,
        "padding": padding,
        "data_format": _FORMAT,
        "use_bias": bias is not None,
        initializer: "zeros",
    }


def _weights(kernel: Array, bias: Array | None) -> list[Array]:
    return [kernel] if bias is None else [kernel, bias]


def _skipped(tensor: Any, window: Window) -> Any:
    """Every so many rows and columns: strides that TensorFlow has no convolution for."""
    return tensor[:, :: window.strides[0], :: window.strides[1], :]


def _patches(tensor: Any, window: Window) -> Any:
    """(batch, rows, columns, height * width * channels): what the window sees at each place."""
    spans = [
        [slice(start, start + (out - 1) * stride + 1, stride) for start in range(window.size)]
        for out, stride in zip(window.out, window.strides, strict=True)
    ]
    parts = [tensor[:, rows, columns, :] for rows, columns in itertools.product(*spans)]
    return ops.concatenate(parts, axis=-1)
