"""Traces a model that a function of the user builds, with the weights of a file in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_keras import traced_from_reading
from mlflow_tfconv.runtimes.function_runtime import FunctionRuntime
from mlflow_tfconv.runtimes.names import tidy_names
from mlflow_tfconv.runtimes.saved_model_runtime import tensor_spec
from mlflow_tfconv.sources.keras.built_model import built_model, is_tf_keras
from mlflow_tfconv.sources.keras.keras_reading import with_chosen_tensors
from mlflow_tfconv.sources.keras.live_objects import weights_of
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions

Call = Callable[[Mapping[str, Any]], dict[str, Any]]


def traced_from_built(
    path: Path, options: SourceOptions = SourceOptions(), *, device: Device
) -> Traced:
    """Builds the model with `options.architecture`, fills it with weights, and traces it.

    Args:
        path: The weights: a checkpoint of TensorFlow, or HDF5.
        options: `architecture`; for a `tf.Module` without an input signature also `shapes`.
        device: Where to compute.

    Raises:
        ConfigError: The function gives no model, or its inputs can't be told.
        ConversionError: The weights can't be read, or don't fit.
    """
    build = options.architecture
    if build is None or isinstance(build, Path):
        raise ConfigError(
            "There is no function that builds the architecture.",
            received=f"architecture={build}",
            expected="a function without arguments",
        )
    with tf.device(apply_to_tensorflow(device)):
        built, warnings = built_model(build, path)
    if isinstance(built, keras.Model):
        reading = KerasReading(model=built, source_format="", warnings=warnings)
        reading = with_chosen_tensors(reading, options)
        return traced_from_reading(reading, path, options, device=device)
    return _traced(path, built, options, device, warnings)


def _traced(
    path: Path, built: Any, options: SourceOptions, device: Device, warnings: tuple[str, ...]
) -> Traced:
    form, choices = _form(built, options)
    names = tidy_names([*form.inputs])
    specs = tuple(
        tensor_spec(name, spec) for name, spec in zip(names, form.inputs.values(), strict=True)
    )

    def call(tensors: Mapping[str, Any]) -> dict[str, Any]:
        return form.named(form.run([tensors[name] for name in names]))

    function = trace_function(call, specs)
    outputs = tuple(
        tensor_spec(name, tensor) for name, tensor in function.structured_outputs.items()
    )
    return Traced(
        function=function,
        module=module_of(function, built),
        inputs=specs,
        outputs=outputs,
        open_reference=lambda: FunctionRuntime(
            function, path=path, inputs=specs, outputs=outputs, device=device, owner=built
        ),
        parameters=sum(weight.shape.num_elements() or 0 for weight in weights_of(built)),
        choices=choices,
        warnings=warnings,
    )


@dataclass(frozen=True, slots=True)
class _Form:
    """How a live object is called.

    Attributes:
        inputs: Name to `tf.TensorSpec` of each argument, flattened.
        structure: What the object takes; leaves are ignored.
        callable: The object.
    """

    inputs: Mapping[str, Any]
    structure: Any
    callable: Callable[..., Any]

    def run(self, tensors: list[Any]) -> Any:
        """What the object gives for its arguments."""
        arguments, keywords = tf.nest.pack_sequence_as(self.structure, tensors)
        return self.callable(*arguments, **keywords)

    def named(self, result: Any) -> dict[str, Any]:
        """Output name to tensor: the keys of a dict, or `output_0`, `output_1`, ..."""
        if isinstance(result, Mapping) and all(isinstance(key, str) for key in result):
            names = tidy_names([*self.inputs, *result])[len(self.inputs) :]
            return dict(zip(names, result.values(), strict=True))
        flat = tf.nest.flatten(result)
        return {f"output_{number}": tensor for number, tensor in enumerate(flat)}


def _form(built: Any, options: SourceOptions) -> tuple[_Form, tuple[Choice, ...]]:
    if is_tf_keras(built) and getattr(built, "inputs", None):
        return _of_keras2(built), ()
    call = built.__call__
    signature = getattr(call, "input_signature", None)
    if signature is not None:
        names = list(call.function_spec.arg_names)[-len(signature) :]
        given = {n: tf.nest.flatten(s) for n, s in zip(names, signature, strict=True)}
        inputs = {
            name if len(specs) == 1 else f"{name}_{count}": spec
            for name, specs in given.items()
            for count, spec in enumerate(specs)
        }
        return _Form(inputs, (tuple(signature), {}), call), ()
    if options.shapes:
        return _of_shapes(call, options)
    raise ConfigError(
        "The inputs of the model that was built can't be told.",
        received=f"{type(built).__qualname__}.__call__ without an input signature",
        expected="`@tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])` on "
        "__call__, or the shape of each argument",
        fix='Give the shapes by the arguments\' names: shapes={"x": (None, 4)}.',
    )


def _of_keras2(model: Any) -> _Form:
    specs = {
        name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)
        for name, tensor in zip(model.input_names, model.inputs, strict=True)
    }

    def call(*tensors: Any) -> dict[str, Any]:
        packed = tf.nest.pack_sequence_as(model.input, list(tensors))
        result = tf.nest.flatten(model(packed, training=False))
        return dict(zip(model.output_names, result, strict=True))

    return _Form(specs, (tuple(specs.values()), {}), call)


def _of_shapes(call: Any, options: SourceOptions) -> tuple[_Form, tuple[Choice, ...]]:
    specs = {name: tf.TensorSpec(shape, tf.float32) for name, shape in options.shapes.items()}
    choice = Choice(
        what="types of inputs",
        chosen="float32",
        argument="architecture",
        reason="`shapes` says no types; an input_signature on __call__ does",
    )
    if len(specs) == 1:
        return _Form(specs, (tuple(specs.values()), {}), call), (choice,)
    return _Form(specs, ((), dict(specs)), call), (choice,)
