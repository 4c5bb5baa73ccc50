"""A result inside a network: an image that lies as TensorFlow computes it, or a vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras

from mlflow_tfconv.sources.darknet.network import Shape


@dataclass(frozen=True, slots=True)
class Feature:
    """A result of a layer.

    Attributes:
        tensor: (batch, height, width, channels) of an image, (batch, units) of a vector.
        shape: (channels, height, width) or (units,): darknet's own order.
    """

    tensor: Any
    shape: Shape

    def as_darknet(self) -> Any:
        """The tensor in darknet's order: (batch, channels, height, width) or (batch, units)."""
        if len(self.shape) == 1:
            return self.tensor
        return keras.layers.Permute((3, 1, 2))(self.tensor)

    def flat(self) -> Any:
        """(batch, values), channels first."""
        if len(self.shape) == 1:
            return self.tensor
        if math.prod(self.shape[1:]) == 1:  # a single position: every order is the same
            return keras.layers.Flatten()(self.tensor)
        return keras.layers.Flatten()(self.as_darknet())


def feature_from_darknet(tensor: Any, shape: Shape) -> Feature:
    """What `as_darknet` gives, back."""
    if len(shape) == 1:
        return Feature(tensor, shape)
    return Feature(keras.layers.Permute((2, 3, 1))(tensor), shape)


def feature_from_flat(tensor: Any, shape: Shape) -> Feature:
    """What `flat` gives, back."""
    if len(shape) == 1:
        return Feature(tensor, shape)
    return feature_from_darknet(keras.layers.Reshape(shape)(tensor), shape)
