"""A model that takes other inputs than it was made for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.runtimes.runtime import Runtime

Batch = Mapping[str, np.ndarray[Any, Any]]


class AdaptedRuntime(Runtime):
    """A loaded model behind a function that makes its inputs out of others."""

    def __init__(
        self, inner: Runtime, inputs: tuple[TensorSpec, ...], adapt: Callable[[Batch], Batch]
    ) -> None:
        """Takes a loaded model.

        Args:
            inner: It; it is closed with this one.
            inputs: What is taken instead of its inputs.
            adapt: Makes the one of the other.
        """
        self.path, self.inputs, self.outputs = inner.path, inputs, inner.outputs
        self._inner, self._adapt = inner, adapt

    def predict(self, batch: Batch) -> dict[str, np.ndarray[Any, Any]]:
        """What the model gives."""
        return self._inner.predict(self._adapt(batch))

    def close(self) -> None:
        """Closes the model."""
        self._inner.close()
