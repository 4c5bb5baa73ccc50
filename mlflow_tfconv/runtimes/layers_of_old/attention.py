"""Attention that leaves the masks of what it attends to in their place."""

from __future__ import annotations

import functools
from typing import Any

import keras

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedMultiHeadAttention(keras.layers.MultiHeadAttention):  # type: ignore[misc]
    """A MultiHeadAttention beside which other layers see the same masks.

    Keras 3's takes the masks off its inputs, so that layers that get them later find none.
    """

    @functools.wraps(keras.layers.MultiHeadAttention.call)
    def call(self, query: Any, value: Any, key: Any = None, **keywords: Any) -> Any:
        """As that of the layer."""
        inputs = [tensor for tensor in (query, value, key) if tensor is not None]
        masks = [getattr(tensor, "_keras_mask", None) for tensor in inputs]
        result = super().call(query, value, key, **keywords)
        for tensor, mask in zip(inputs, masks, strict=True):
            if mask is not None:
                tensor._keras_mask = mask
        return result
