"""Normalizations that only Keras 1 has: modes 1 and 2 of its BatchNormalization."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


class _OwnStatistics(keras.layers.Layer):  # type: ignore[misc]
    """Normalizes by statistics of what it is given.

    It keeps the moving averages of the original, which it does not use, so that a file's weights
    have their place.

    Args:
        axis: The axis of features.
        epsilon: Added to variances.
        arguments: Those of every layer.
    """

    def __init__(self, axis: int = -1, epsilon: float = 1e-3, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.axis, self.epsilon = axis, epsilon

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        shape = (input_shape[self.axis],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.mean = self._unused(shape, "running_mean")
        self.variance = self._unused(shape, "running_std")

    def _unused(self, shape: Any, name: str) -> Any:
        return self.add_weight(shape=shape, initializer="zeros", name=name, trainable=False)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(PACKAGE)
class SampleNormalization(_OwnStatistics):
    """Mode 1: by mean and deviation of the last axis; epsilon counts twice, as it did."""

    def call(self, x: Any) -> Any:
        """The same shape."""
        mean = ops.mean(x, axis=-1, keepdims=True)
        deviation = ops.sqrt(ops.var(x, axis=-1, keepdims=True) + self.epsilon)
        return self.gamma * ((x - mean) / (deviation + self.epsilon)) + self.beta


@keras.saving.register_keras_serializable(PACKAGE)
class BatchStatisticsNormalization(_OwnStatistics):
    """Mode 2: by mean and variance of the batch, at inference too."""

    def call(self, x: Any) -> Any:
        """The same shape."""
        axis = self.axis % len(x.shape)
        others = [n for n in range(len(x.shape)) if n != axis]
        mean, variance = ops.moments(x, axes=others, keepdims=True)
        shape = [-1 if n == axis else 1 for n in range(len(x.shape))]
        scale = ops.reshape(self.gamma, shape) * ops.rsqrt(variance + self.epsilon)
        return (x - mean) * scale + ops.reshape(self.beta, shape)
