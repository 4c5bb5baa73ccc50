"""Border mode "same" as Theano had it: half a kernel on both sides, and too much cut off behind.

TensorFlow pads as little as the stride allows, and the odd zero behind. From `_preprocess_border_mode`,
`_postprocess_conv2d_output` and `pool2d` of Keras' Theano backend.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE

_LOWEST = -3.0e38  # minus infinity is no value that ONNX's Pad takes everywhere


@keras.saving.register_keras_serializable(PACKAGE)
class HalfPadded(keras.layers.Wrapper):  # type: ignore[misc]
    """A convolution without padding of its own, given zeros on both sides.

    Args:
        layer: The convolution; channels last.
        padding: Zeros on each side, for each spatial axis.
        strides: Its strides.
        cut: Whether the output of each spatial axis is cut to its size over its stride.
        arguments: Those of every layer.
    """

    def __init__(self, layer: Any, padding: Any, strides: Any, cut: Any, **arguments: Any) -> None:
        super().__init__(layer, **arguments)
        self.padding, self.strides, self.cut = tuple(padding), tuple(strides), tuple(cut)

    def build(self, input_shape: Any = None) -> None:
        """Builds the convolution for what is padded."""
        if not self.layer.built:
            self.layer.build(self._padded(input_shape))

    def call(self, x: Any) -> Any:
        """(batch, ...spatial, channels), both."""
        sizes = ops.shape(x)[1:-1]
        result = self.layer(ops.pad(x, [(0, 0), *((p, p) for p in self.padding), (0, 0)]))
        where = [
            slice(0, -(-size // step) if cut else None)
            for size, step, cut in zip(sizes, self.strides, self.cut, strict=True)
        ]
        return result[(slice(None), *where)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The convolution's, cut."""
        shape = list(self.layer.compute_output_shape(self._padded(input_shape)))
        for n, (size, step, cut) in enumerate(
            zip(input_shape[1:-1], self.strides, self.cut, strict=True), start=1
        ):
            if cut and size is not None:
                shape[n] = -(-size // step)
        return tuple(shape)

    def _padded(self, shape: Any) -> tuple[Any, ...]:
        spatial = zip(shape[1:-1], self.padding, strict=True)
        return (shape[0], *(None if s is None else s + 2 * p for s, p in spatial), shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"padding": self.padding, "strides": self.strides, "cut": self.cut}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(PACKAGE)
class TheanoPooling(keras.layers.Layer):  # type: ignore[misc]
    """A pooling with border mode "same"; what is padded counts for nothing.

    Args:
        pool_size: Size in each spatial axis; channels last.
        strides: Step in each.
        average: Whether it is a mean and not a maximum.
        arguments: Those of every layer.
    """

    def __init__(
        self, pool_size: Any, strides: Any, average: bool = False, **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.pool_size, self.strides, self.average = tuple(pool_size), tuple(strides), average

    def call(self, x: Any) -> Any:
        """(batch, ...spatial, channels), both."""
        sizes = ops.shape(x)[1:-1]
        margins = [size - 2 if size > 2 and size % 2 else size - 1 for size in self.pool_size]
        pads = [(0, 0), *((margin, margin) for margin in margins), (0, 0)]
        if self.average:
            one = ops.pad(ops.ones_like(x), pads)
            result = self._pooled(ops.average_pool, ops.pad(x, pads))
            result = result / self._pooled(ops.average_pool, one)
        else:
            result = self._pooled(ops.max_pool, ops.pad(x, pads, constant_values=_LOWEST))
        where = [slice(0, -(-s // step)) for s, step in zip(sizes, self.strides, strict=True)]
        return result[(slice(None), *where)]

    def _pooled(self, pool: Any, x: Any) -> Any:
        return pool(x, self.pool_size, self.strides, padding="valid", data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Each size over its stride, rounded up."""
        spatial = zip(input_shape[1:-1], self.strides, strict=True)
        sizes = (None if size is None else -(-size // step) for size, step in spatial)
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"pool_size": self.pool_size, "strides": self.strides, "average": self.average}
        return {**super().get_config(), **own}
