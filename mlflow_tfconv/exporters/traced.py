"""A model as one TensorFlow function with named inputs and outputs: what every export starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlflow_tfconv.artifacts import Choice, TensorSpec
from mlflow_tfconv.exporters.weights import MemoryWeights, Weights
from mlflow_tfconv.runtimes.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A model that was read and traced once.

    Attributes:
        function: A `ConcreteFunction` that takes one dict of tensors and gives one.
        module: The `tf.Module` that holds what the function uses (variables, tables, assets).
        inputs: The inputs; names, dtypes and shapes of what the function takes.
        outputs: The outputs.
        open_reference: Opens the source itself, ready to predict: what exports are compared with.
            It is opened late and closed early, so that one runtime at a time is in memory.
        weights: Gives the values of the variables that the function captures.
        parameters: Number of values in its weights.
        source_format: A key of `FORMATS`.
        model: The live Keras 3 model when there is one, else None.
        choices: What the files left open, and what was taken.
        warnings: What a user should know.
    """

    function: Any
    module: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    open_reference: Callable[[], Runtime]
    weights: Weights = field(default_factory=MemoryWeights)
    parameters: int
    source_format: str = ""
    model: Any = None
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()
