"""Bidirectional layers as they treated masked steps at first."""

from __future__ import annotations

from typing import Any

import keras

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class RepeatingBidirectional(keras.layers.Bidirectional):  # type: ignore[misc]
    """A Bidirectional whose masked steps repeat the last output; today's gives zeros there."""

    def __init__(self, layer: Any, **arguments: Any) -> None:
        super().__init__(layer, **arguments)
        for direction in (self.forward_layer, self.backward_layer):
            if hasattr(direction, "zero_output_for_mask"):
                direction.zero_output_for_mask = False
