"""Layers with their channels before the spatial axes, computed with the channels last.

TensorFlow's convolutions and poolings know no other order on a CPU. Writers of ONNX files cancel
the transpositions between such layers.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class ChannelsFirst(keras.layers.Wrapper):  # type: ignore[misc]
    """A layer that works with its channels last, for tensors that have them first.

    Args:
        layer: The layer.
        axis: Where the channels are in the input.
        output_axis: Where they are wanted in the output; None leaves the output as it is.
        arguments: Those of every layer.
    """

    def __init__(
        self, layer: Any, axis: int = 1, output_axis: int | None = 1, **arguments: Any
    ) -> None:
        super().__init__(layer, **arguments)
        self.axis, self.output_axis = axis, output_axis

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer for channels that are last."""
        if not self.layer.built:
            self.layer.build(_last(input_shape, self.axis))

    def call(self, x: Any) -> Any:
        """Moves the channels, calls the layer, and moves them back."""
        result = self.layer(ops.moveaxis(x, self.axis, -1))
        return result if self.output_axis is None else ops.moveaxis(result, -1, self.output_axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The layer's, with the channels moved back."""
        shape = list(self.layer.compute_output_shape(_last(input_shape, self.axis)))
        if self.output_axis is not None:
            shape.insert(self.output_axis, shape.pop())
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axis": self.axis, "output_axis": self.output_axis}


def _last(shape: Any, axis: int) -> tuple[Any, ...]:
    return (*shape[:axis], *shape[axis + 1 :], shape[axis])
