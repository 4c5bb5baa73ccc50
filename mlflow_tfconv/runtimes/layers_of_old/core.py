"""Dense layers that only Keras 1 has."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class MaxoutDense(keras.layers.Layer):  # type: ignore[misc]
    """The largest of several linear maps, feature by feature.

    Args:
        units: Size of the output.
        nb_feature: Number of linear maps.
        use_bias: Whether each has a bias.
        arguments: Those of every layer.
    """

    def __init__(
        self, units: int, nb_feature: int = 4, use_bias: bool = True, **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.units, self.nb_feature, self.use_bias = units, nb_feature, use_bias

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        shape = (self.nb_feature, input_shape[-1], self.units)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="W")
        if self.use_bias:
            bias = (self.nb_feature, self.units)
            self.bias = self.add_weight(shape=bias, initializer="zeros", name="b")

    def call(self, x: Any) -> Any:
        """(batch, features) to (batch, units)."""
        maps = ops.einsum("bi,fiu->bfu", x, self.kernel)
        return ops.max(maps + self.bias if self.use_bias else maps, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, units)."""
        return (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"units": self.units, "nb_feature": self.nb_feature, "use_bias": self.use_bias}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(PACKAGE)
class Highway(keras.layers.Layer):  # type: ignore[misc]
    """A dense layer and the input itself, mixed by a gate (https://arxiv.org/abs/1505.00387).

    Args:
        activation: Of the dense layer.
        use_bias: Whether it and the gate have biases.
        arguments: Those of every layer.
    """

    def __init__(self, activation: Any = None, use_bias: bool = True, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.activation, self.use_bias = keras.activations.get(activation), use_bias

    def build(self, input_shape: Any) -> None:
        """Makes the weights, in the order in which Keras 1 wrote them."""
        size = input_shape[-1]
        self.kernel = self.add_weight(shape=(size, size), initializer="zeros", name="W")
        self.gate = self.add_weight(shape=(size, size), initializer="zeros", name="W_carry")
        if self.use_bias:
            self.bias = self.add_weight(shape=(size,), initializer="zeros", name="b")
            self.gate_bias = self.add_weight(shape=(size,), initializer="ones", name="b_carry")

    def call(self, x: Any) -> Any:
        """(batch, features), both."""
        gate, own = ops.matmul(x, self.gate), ops.matmul(x, self.kernel)
        if self.use_bias:
            gate, own = gate + self.gate_bias, own + self.bias
        share = ops.sigmoid(gate)
        return self.activation(own) * share + (1 - share) * x

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        named = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": named, "use_bias": self.use_bias}
