"""Runs a Keras 3 model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.runtimes.keras_signature import keras_signature
from mlflow_tfconv.runtimes.load_keras import load_keras
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.runtimes.tensorflow_binding import bound_function


class KerasRuntime(Runtime):
    """A Keras model, called as one traced function (as `model.predict` does it).

    Attributes:
        model: The `keras.Model`.
        call: Gives `{output_name: tensor}` for `{input_name: tensor}`, in inference mode.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Device = Device(),
        model: Any = None,
        traced: bool = True,
    ) -> None:
        """Loads the model.

        Args:
            path: A `.keras` archive or a Keras HDF5 file.
            device: Where to compute.
            model: A live model, which is then used instead of loading the file.
            traced: False calls layer by layer: slower, but nothing has to be traced first, which
                pays for a few batches.

        Raises:
            ConversionError: The file is refused, damaged, or can't be loaded by this Keras.
        """
        self._placement = apply_to_tensorflow(device)
        self.path = path
        with tf.device(self._placement):
            self.model = load_keras(path) if model is None else model
            self._signature = keras_signature(self.model)
        self.inputs, self.outputs = self._signature.inputs, self._signature.outputs
        self.call = self._signature.call
        self._run = tf.function(self.call, reduce_retracing=True) if traced else self.call

    def predict(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Output name to array."""
        with tf.device(self._placement):
            tensors = {name: tf.convert_to_tensor(value) for name, value in batch.items()}
            return {name: np.asarray(value) for name, value in self._run(tensors).items()}

    def bound_call_for(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> Callable[[], object]:
        """The function called with tensors that are on its device."""
        return bound_function(self._run, batch, self._placement)

    def close(self) -> None:
        """Lets go of the model."""
        del self.model, self._signature, self.call, self._run
