"""Locally connected layers: convolutions with kernels of their own at every place."""

from __future__ import annotations

import itertools
import math
from typing import Any

import keras
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class LocallyConnected(keras.layers.Layer):  # type: ignore[misc]
    """LocallyConnected1D and LocallyConnected2D of Keras 1 and 2.

    Args:
        filters: Number of output channels.
        kernel_size: Size in each spatial axis.
        strides: Step in each spatial axis.
        channels_first: Whether the channels come before the spatial axes.
        activation: Of the output.
        use_bias: Whether each place has a bias for each filter.
        arguments: Those of every layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any,
        *,
        channels_first: bool = False,
        activation: Any = None,
        use_bias: bool = True,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.filters, self.kernel_size, self.strides = filters, tuple(kernel_size), tuple(strides)
        self.channels_first, self.use_bias = channels_first, use_bias
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """Makes the weights in the shapes in which Keras 1 and 2 wrote them."""
        places = self._places(input_shape)
        channels = input_shape[1] if self.channels_first else input_shape[-1]
        shape = (math.prod(places), math.prod(self.kernel_size) * channels, self.filters)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")
        if self.use_bias:
            bias = (*places, self.filters)
            self.bias = self.add_weight(shape=bias, initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        """(batch, ...spatial, channels), or channels first, both."""
        places = self._places(x.shape)
        patches = ops.reshape(self._patches(x, places), (-1, *self.kernel.shape[:2]))
        result = ops.matmul(ops.transpose(patches, (1, 0, 2)), self.kernel)
        result = ops.reshape(ops.transpose(result, (1, 0, 2)), (-1, *places, self.filters))
        if self.channels_first:
            result = ops.moveaxis(result, -1, 1)
        return self.activation(result + self._bias(places) if self.use_bias else result)

    def _patches(self, x: Any, places: tuple[int, ...]) -> Any:
        """(batch, ...places, what a kernel sees there), in the order of its features."""
        x = ops.moveaxis(x, 1, -1) if self.channels_first else x
        pieces = []
        for offsets in itertools.product(*map(range, self.kernel_size)):
            where = tuple(
                slice(offset, offset + step * (count - 1) + 1, step)
                for offset, step, count in zip(offsets, self.strides, places, strict=True)
            )
            pieces.append(x[(slice(None), *where)])
        # The features of a patch are channels x positions when channels come first.
        return ops.stack(pieces, axis=-1 if self.channels_first else -2)

    def _bias(self, places: tuple[int, ...]) -> Any:
        """With channels first Keras reshaped it and did not transpose it."""
        shape = (self.filters, *places) if self.channels_first else (*places, self.filters)
        return ops.reshape(self.bias, (1, *shape))

    def _places(self, shape: Any) -> tuple[int, ...]:
        spatial = shape[2:] if self.channels_first else shape[1:-1]
        sizes = zip(spatial, self.kernel_size, self.strides, strict=True)
        return tuple((size - kernel) // step + 1 for size, kernel, step in sizes)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One value a place and filter."""
        places = self._places(input_shape)
        inner = (self.filters, *places) if self.channels_first else (*places, self.filters)
        return (input_shape[0], *inner)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("filters", "kernel_size", "strides", "channels_first", "use_bias")
        own = {name: getattr(self, name) for name in names}
        named = keras.activations.serialize(self.activation)
        return {**super().get_config(), **own, "activation": named}
