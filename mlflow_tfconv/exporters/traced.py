"""A model as one TensorFlow function with named inputs and outputs: what every export starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.runtimes.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A model that was read and traced once.

    Attributes:
        function: A `ConcreteFunction` that takes one dict of tensors and gives one.
        module: The `tf.Module` that holds what the function uses (variables, tables, assets).
        reference: The source itself, ready to predict: what exports are compared with.
        parameters: Number of values in its weights.
        notes: What was decided while reading.
    """

    function: Any
    module: Any
    reference: Runtime
    parameters: int
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs."""
        return self.reference.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs."""
        return self.reference.outputs
