"""Runs a TensorFlow function of named tensors."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.runtimes.runtime import Runtime


class FunctionRuntime(Runtime):
    """A function that takes and gives `{name: tensor}`, and what it uses.

    Attributes:
        call: The function.
    """

    def __init__(
        self,
        call: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        *,
        path: Path,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        device: Device = Device(),
        owner: Any = None,
    ) -> None:
        """Takes a function that is ready to run.

        Args:
            call: The function.
            path: Where it is from.
            inputs: What it takes.
            outputs: What it gives.
            device: Where to compute.
            owner: What has to live as long: the object that holds its variables.
        """
        self._placement = apply_to_tensorflow(device)
        self.path, self.inputs, self.outputs = path, inputs, outputs
        self.call, self._owner = call, owner

    def predict(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Output name to array."""
        with tf.device(self._placement):
            tensors = {
                spec.name: tf.convert_to_tensor(batch[spec.name], dtype=spec.dtype)
                for spec in self.inputs
            }
            return {name: value.numpy() for name, value in self.call(tensors).items()}

    def close(self) -> None:
        """Lets go of the function and its variables."""
        del self.call, self._owner
        gc.collect()  # a loaded SavedModel refers to itself
