"""Formulas as traced models, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.exporters.trace_function import trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.function_runtime import FunctionRuntime

Shape = tuple[int | None, ...]


def traced_formula(
    call: Callable[[Any], Any], inputs: dict[str, tuple[str, Shape]], **fields: Any
) -> Traced:
    """A model of `{name: (dtype, shape)}` that is a function of `{name: tensor}`."""
    specs = tuple(TensorSpec(name=n, dtype=d, shape=s) for n, (d, s) in inputs.items())
    function = trace_function(call, specs)
    module = tf.Module()
    module.formula, module.weights = call, list(function.graph.variables)
    outputs = tuple(
        TensorSpec(name=name, dtype=tensor.dtype.name, shape=tuple(tensor.shape.as_list()))
        for name, tensor in function.structured_outputs.items()
    )
    return Traced(
        function=function,
        module=module,
        inputs=specs,
        outputs=outputs,
        open_reference=lambda: FunctionRuntime(
            function, path=Path("formula"), inputs=specs, outputs=outputs, owner=module
        ),
        parameters=0,
        **fields,
    )


def answers(traced: Traced, batch: dict[str, Any]) -> dict[str, Any]:
    """What the model gives for a batch."""
    fed = {name: tf.convert_to_tensor(value) for name, value in batch.items()}
    return {name: value.numpy() for name, value in traced.function(fed).items()}
