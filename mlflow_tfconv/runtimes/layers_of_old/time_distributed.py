"""A layer applied to every step of a sequence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class TimeDistributed(keras.layers.Wrapper):  # type: ignore[misc]
    """A layer applied to all steps at once, as steps were more examples.

    Today's own calls the layer step by step: its graph grows with the length of the sequence.

    Args:
        layer: The layer; it takes and gives one tensor.
        arguments: Those of every layer.
    """

    def __init__(self, layer: Any, **arguments: Any) -> None:
        super().__init__(layer, **arguments)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer for a single step."""
        if not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))

    def call(self, x: Any) -> Any:
        """(batch, steps, ...) to (batch, steps, ...)."""
        sizes = ops.shape(x)
        steps = ops.reshape(x, (-1, *sizes[2:]))
        result = self.layer(steps)
        return ops.reshape(result, (*_leading(sizes), *ops.shape(result)[1:]))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of steps; one that goes into the steps counts those with anything in them."""
        del inputs
        while mask is not None and len(mask.shape) > 2:
            mask = ops.any(mask, axis=-1)
        return mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The layer's, with the steps put in."""
        batch, steps, *rest = input_shape
        inner = self.layer.compute_output_shape((batch, *rest))
        return (inner[0], steps, *inner[1:])


def _leading(sizes: Any) -> tuple[Any, Any]:
    """Batch and steps; one of them left open where the other is known."""
    batch, steps = sizes[0], sizes[1]
    return (-1, steps) if isinstance(steps, int) else (batch, steps)
