"""A scale for each feature, as ConvNeXt has it."""

from __future__ import annotations

from typing import Any

import keras

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class LayerScale(keras.layers.Layer):  # type: ignore[misc]
    """Multiplies by a learned number for each feature.

    Args:
        arguments: Those of every layer.
    """

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")

    def call(self, x: Any) -> Any:
        """The same shape."""
        return x * self.gamma

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape
