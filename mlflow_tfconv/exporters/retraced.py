"""A traced model behind other inputs: what every change of its inputs is made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.adapted_runtime import AdaptedRuntime, Batch
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction, inlined_function
from mlflow_tfconv.runtimes.runtime import Runtime

Tensors = Mapping[str, Any]
Call = Callable[[Tensors], Tensors]


def inlined(traced: Traced) -> InlinedFunction:
    """The model's graph."""
    return inlined_function(
        traced.function, [s.name for s in traced.inputs], [s.name for s in traced.outputs]
    )


def retraced(
    traced: Traced,
    inputs: tuple[TensorSpec, ...],
    *,
    adapt: Call | None = None,
    graph: InlinedFunction | None = None,
    **changes: Any,
) -> Traced:
    """The model traced again, behind a function that makes its inputs out of others.

    Args:
        traced: The model.
        inputs: What is taken.
        adapt: Makes the model's own inputs of them; None takes them as they are.
        graph: The model's graph when it was changed.
        **changes: Other fields of `Traced`.

    Raises:
        ValueError: The graph can't have such inputs.
    """
    graph = graph or inlined(traced)
    inner = graph.caller(graph.outputs)

    def call(tensors: Tensors) -> Mapping[str, Any]:
        return inner(tensors if adapt is None else adapt(tensors))

    function = trace_function(call, inputs, effects=False)
    outputs = tuple(_shaped(spec, function) for spec in traced.outputs)
    fields = {
        "function": function,
        "module": module_of(function, traced.module),
        "inputs": inputs,
        "outputs": outputs,
    }
    if adapt is not None:
        fields["open_reference"] = adapted_reference(traced, inputs, adapt)
    return replace(traced, **fields, **changes)


def adapted_reference(
    traced: Traced, inputs: tuple[TensorSpec, ...], adapt: Call
) -> Callable[[], Runtime]:
    """Opens the source behind a function that makes its inputs out of others."""
    return lambda: AdaptedRuntime(traced.open_reference(), inputs, _on_numbers(adapt))


def _shaped(spec: TensorSpec, function: Any) -> TensorSpec:
    """An output with what is known of its shape now."""
    shape = function.structured_outputs[spec.name].shape
    return spec if shape.rank is None else replace(spec, shape=tuple(shape.as_list()))


def _on_numbers(adapt: Call) -> Callable[[Batch], Batch]:
    """The function of tensors as one of arrays."""

    def run(batch: Batch) -> Batch:
        tensors = {name: tf.convert_to_tensor(value) for name, value in batch.items()}
        return {name: value.numpy() for name, value in adapt(tensors).items()}

    return run
