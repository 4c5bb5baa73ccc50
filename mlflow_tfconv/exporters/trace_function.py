"""Traces a function of named tensors, and finds what it has to be saved with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec


def trace_function(
    call: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    inputs: Sequence[TensorSpec],
    *,
    unknown_rank: Collection[str] = (),
    effects: bool = True,
) -> Any:
    """The `ConcreteFunction` of `call`, which takes and gives `{name: tensor}`.

    The tensors come as one dict, since names need not be Python identifiers.

    Args:
        call: The function.
        inputs: What it takes.
        unknown_rank: Names of the inputs that may have any number of dimensions.
        effects: Whether what it does besides computing is to happen in order. Without, TensorFlow
            puts no control dependencies into it, which a loop of TensorFlow 1 can't have.
    """
    shapes = {spec.name: None if spec.name in unknown_rank else spec.shape for spec in inputs}
    specs = {spec.name: tf.TensorSpec(shapes[spec.name], spec.dtype, spec.name) for spec in inputs}
    attributes = None if effects else {"_disable_acd": True}
    traced = tf.function(call, autograph=False, experimental_attributes=attributes)
    return traced.get_concrete_function(specs)


def module_of(function: Any, model: Any) -> Any:
    """A `tf.Module` that holds what a traced function uses.

    Variables alone are saved and loaded several times faster than the model they come from. A
    function that uses more than variables, such as the table of a StringLookup, gets the model.

    Args:
        function: The `ConcreteFunction`.
        model: The object that owns its variables, tables and assets.
    """
    module = tf.Module()
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    used = [t for t in function.captured_inputs if t.dtype in (tf.resource, tf.variant)]
    if all(id(tensor) in variables for tensor in used):
        # In the order of their use: `graph.variables` comes from a set.
        module.weights = [variables[id(tensor)] for tensor in used]
    else:
        module.model = model
    return module
