"""Inputs of a TensorFlow function that are on the device already, and outputs that stay there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def bound_function(
    function: Callable[[Mapping[str, Any]], Any],
    batch: Mapping[str, np.ndarray[Any, Any]],
    placement: str,
) -> Callable[[], object]:
    """A call that ends when the device has done its work.

    Args:
        function: Takes input name to tensor.
        batch: What it is given, copied to the device now.
        placement: As for `tf.device`.
    """
    with tf.device(placement):
        tensors = {name: tf.identity(tf.convert_to_tensor(v)) for name, v in batch.items()}

    def called() -> None:
        with tf.device(placement):
            function(tensors)
        tf.test.experimental.sync_devices()  # kernels of a GPU are only launched by then

    return called
