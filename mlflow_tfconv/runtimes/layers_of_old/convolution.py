"""Convolutions that today's Keras can't express."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class Deconvolution2D(keras.layers.Layer):  # type: ignore[misc]
    """The transposed convolution of Keras 1, whose author chose the size of its output.

    Args:
        filters: Number of output channels.
        kernel_size: Rows and columns.
        output_size: Rows and columns of the output.
        strides: Rows and columns.
        padding: "valid" or "same".
        activation: Of the output.
        use_bias: Whether there is a bias.
        arguments: Those of every layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        output_size: Any,
        *,
        strides: Any = (1, 1),
        padding: str = "valid",
        activation: Any = None,
        use_bias: bool = True,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.filters, self.kernel_size = filters, tuple(kernel_size)
        self.output_size, self.strides = tuple(output_size), tuple(strides)
        self.padding, self.use_bias = padding, use_bias
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        shape = (*self.kernel_size, self.filters, input_shape[-1])
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        """(batch, rows, columns, channels), both."""
        size = self._reached(x.shape[1:3])
        shape = tf.stack([tf.shape(x)[0], *size, self.filters])
        result = tf.nn.conv2d_transpose(
            x, ops.convert_to_tensor(self.kernel), shape, self.strides, self.padding.upper()
        )
        result = tf.ensure_shape(result, (None, *size, self.filters))
        behind = [(0, all_ - some) for all_, some in zip(self.output_size, size, strict=True)]
        if any(zeros for _, zeros in behind):
            result = ops.pad(result, [(0, 0), *behind, (0, 0)])
        return self.activation(result + self.bias if self.use_bias else result)

    def _reached(self, spatial: Any) -> tuple[int, ...]:
        """The part of the output that any input reaches; what lies behind it is zero."""
        if self.padding != "valid" or None in spatial:
            return self.output_size
        sizes = zip(spatial, self.strides, self.kernel_size, self.output_size, strict=True)
        return tuple(min((n - 1) * step + kernel, most) for n, step, kernel, most in sizes)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, rows, columns, filters)."""
        return (input_shape[0], *self.output_size, self.filters)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("filters", "kernel_size", "output_size", "strides", "padding", "use_bias")
        own = {name: getattr(self, name) for name in names}
        named = keras.activations.serialize(self.activation)
        return {**super().get_config(), **own, "activation": named}
