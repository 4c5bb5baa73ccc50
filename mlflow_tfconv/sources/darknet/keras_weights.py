"""Puts the weights of a darknet file into a model that Keras built.

Layers come in the order in which the model lists them; in each the order is darknet's: of a
convolution biases, batch norm (scales, means, variances), kernel (out, in, height, width); of a
dense layer biases, kernel, batch norm. A convolution or dense layer without a bias takes the batch
norm that follows it for its own, as darknet has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.darknet.network import Slot
from mlflow_tfconv.sources.darknet.weights_file import Array, Values

_STATISTICS = ("scales", "means", "variances")


@dataclass(frozen=True, slots=True)
class Part:
    """A layer with the batch norm that belongs to it.

    Attributes:
        layer: A Conv2D, DepthwiseConv2D, Dense or BatchNormalization of Keras, built.
        norm: The batch norm behind it, or None.
    """

    layer: Any
    norm: Any = None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Its weights as the file holds them."""
        name = self.layer.name
        if isinstance(self.layer, keras.layers.BatchNormalization):
            size = self.layer.gamma.shape[0]
            return tuple(Slot(name, what, (size,)) for what in _STATISTICS)
        kernel = Slot(name, "kernel", self._kernel_shape)
        size = kernel.shape[0]
        biases = Slot(name, "biases", (size,))
        norm = [Slot(name, what, (size,)) for what in _STATISTICS] if self.norm else []
        if len(kernel.shape) == 2:
            return (biases, kernel, *norm)
        return (biases, *norm, kernel)

    @property
    def _kernel_shape(self) -> tuple[int, ...]:
        """Of a dense layer (out, in), of a convolution (out, in of a group, height, width)."""
        shape = tuple(self.layer.kernel.shape)
        if len(shape) == 2:
            return shape[::-1]
        height, width, inputs, outputs = shape
        if isinstance(self.layer, keras.layers.DepthwiseConv2D):
            return (inputs * outputs, 1, height, width)
        return (outputs, inputs, height, width)

    def assign(self, values: Values, *, flipped: bool = False) -> None:
        """Puts the values in.

        Args:
            values: Slot to value.
            flipped: Whether kernels are reversed in height and width, as Theano computes.
        """
        own = {slot.name: values[slot] for slot in self.slots}
        if "kernel" in own:
            self.layer.kernel.assign(self._kernel(own["kernel"], flipped))
        norm = self.norm or (self.layer if "kernel" not in own else None)
        if norm is not None:
            beta = own.get("biases", np.zeros_like(own["scales"]))
            norm.set_weights([own["scales"], beta, own["means"], own["variances"]])
        else:
            self.layer.bias.assign(own["biases"])

    def _kernel(self, kernel: Array, flipped: bool) -> Array:
        if kernel.ndim == 2:
            return kernel.T
        turned = kernel[:, :, ::-1, ::-1] if flipped else kernel
        if isinstance(self.layer, keras.layers.DepthwiseConv2D):
            height, width, inputs, multiplier = self.layer.kernel.shape
            whole = turned.reshape(inputs, multiplier, height, width)
            return whole.transpose(2, 3, 0, 1)
        return turned.transpose(2, 3, 1, 0)


def parts_of_keras(layers: Sequence[Any]) -> tuple[Part, ...]:
    """The layers that have weights, each with its batch norm.

    Args:
        layers: Built layers of Keras in the order of the file.

    Raises:
        ConversionError: One is of a kind that darknet has not, or lacks a bias or a scale.
    """
    parts: list[Part] = []
    for layer in (layer for layer in layers if layer.weights):
        if isinstance(layer, keras.layers.BatchNormalization):
            _require(layer, layer.scale and layer.center, "has no scale or no center")
            if parts and parts[-1].norm is None and _lacks_bias(parts[-1].layer):
                parts[-1] = Part(parts[-1].layer, layer)
                continue
        else:
            _require(layer, isinstance(layer, _KNOWN), "is of a kind that darknet has not")
        parts.append(Part(layer))
    for part in parts:
        _require(
            part.layer,
            part.norm is not None or not _lacks_bias(part.layer),
            "has neither a bias nor a batch norm right behind it",
        )
    return tuple(parts)


_KNOWN = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


def _lacks_bias(layer: Any) -> bool:
    return isinstance(layer, _KNOWN) and not layer.use_bias


def _require(layer: Any, holds: bool, why: str) -> None:
    if not holds:
        raise ConversionError(
            f"Weights of darknet can't be put into this model: layer {layer.name!r} {why}.",
            received=type(layer).__name__,
            expected="Conv2D, DepthwiseConv2D and Dense with a bias, or without one and with a "
            "BatchNormalization behind them",
            fix="Give the .cfg that the weights were trained with: architecture=PATH.",
        )
