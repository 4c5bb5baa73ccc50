"""Activation functions that have changed their meaning since."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

PACKAGE = "mlflow_tfconv"


@keras.saving.register_keras_serializable(PACKAGE, name="hard_sigmoid")  # type: ignore[untyped-decorator]
def hard_sigmoid(x: Any) -> Any:
    """`clip(0.2 x + 0.5, 0, 1)`, as in Keras 1 and 2; today's is `clip(x / 6 + 0.5, 0, 1)`."""
    # A vector of one, for tf2onnx 1.17 fails on a number that is added to a convolution.
    half = ops.convert_to_tensor([0.5], x.dtype)
    return ops.clip(0.2 * x + half, 0.0, 1.0)
