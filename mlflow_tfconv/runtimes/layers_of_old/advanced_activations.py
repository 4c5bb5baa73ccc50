"""Activation layers that today's Keras has no more."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class ThresholdedReLU(keras.layers.Layer):  # type: ignore[misc]
    """`x` where it is greater than theta, else 0.

    Args:
        theta: The threshold.
        arguments: Those of every layer.
    """

    def __init__(self, theta: float = 1.0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.theta, self.supports_masking = theta, True

    def call(self, x: Any) -> Any:
        """The same shape."""
        return x * ops.cast(x > self.theta, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "theta": self.theta}


class _Parametric(keras.layers.Layer):  # type: ignore[misc]
    """A function whose parameters are learned, place by place.

    Args:
        shared_axes: Axes along which a parameter is shared; the batch is axis 0.
        arguments: Those of every layer.
    """

    parameters: tuple[str, ...] = ()

    def __init__(self, shared_axes: Any = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.shared_axes, self.supports_masking = shared_axes, True

    def build(self, input_shape: Any) -> None:
        """Makes the weights, in the order in which Keras 1 wrote them."""
        shared = set(self.shared_axes or ())
        shape = [1 if n in shared else size for n, size in enumerate(input_shape)][1:]
        for name in self.parameters:
            weight = self.add_weight(shape=shape, initializer="zeros", name=name)
            setattr(self, name, weight)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "shared_axes": self.shared_axes}


@keras.saving.register_keras_serializable(PACKAGE)
class ParametricSoftplus(_Parametric):
    """`alpha * softplus(beta * x)`."""

    parameters = ("alphas", "betas")

    def call(self, x: Any) -> Any:
        """The same shape."""
        return ops.softplus(self.betas * x) * self.alphas


@keras.saving.register_keras_serializable(PACKAGE)
class SReLU(_Parametric):
    """Three lines (https://arxiv.org/abs/1512.07030), the right knee at or after the left one."""

    parameters = ("t_left", "a_left", "t_right", "a_right")

    def call(self, x: Any) -> Any:
        """The same shape."""
        left, right = self.t_left, self.t_left + ops.abs(self.t_right)
        middle = ops.minimum(ops.relu(x - left), right - left)
        below = self.a_left * ops.relu(left - x)
        return left + middle - below + ops.relu(x - right) * self.a_right
