"""Reads a Keras model of any age: `.keras`, HDF5, architecture with weights, or a live model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.exporters.live_model import require_keras_model
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.keras_runtime import KerasRuntime
from mlflow_tfconv.sources.keras.keras_reading import keras_reading, with_chosen_tensors
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions


def traced_from_keras(
    path: Path,
    options: SourceOptions = SourceOptions(),
    *,
    device: Device,
    model: Any = None,
) -> Traced:
    """Traces the model for inference, with a batch of any size.

    Args:
        path: The file; of a live model the place it is said to come from.
        options: What the user says about what the files leave open.
        device: Where to compute.
        model: A live `keras.Model`, which is then used instead of the file.

    Raises:
        ConfigError: The live object is no Keras 3 model, or an option names what is not there.
        ConversionError: The file is refused or can't be loaded, or its inputs can't be told.
    """
    if model is None:
        reading = keras_reading(path, options)
    else:
        require_keras_model(model)
        reading = with_chosen_tensors(KerasReading(model=model, source_format="keras"), options)
    return traced_from_reading(reading, path, options, device=device)


def traced_from_reading(
    reading: KerasReading,
    path: Path,
    options: SourceOptions = SourceOptions(),
    *,
    device: Device,
) -> Traced:
    """Traces a live model that was read; its variables hold the weights.

    Args:
        reading: The model.
        path: Where it is from.
        options: `shapes` fixes those of inputs.
        device: Where to compute.

    Raises:
        ConfigError: A shape is given for an input that is not there.
        ConversionError: Its inputs can't be told, or it can't take the given shapes.
    """
    reference = KerasRuntime(path, device=device, model=reading.model, traced=False)
    inputs = _shaped(reference.inputs, options)
    function = _traced(reference, inputs, options)
    return Traced(
        function=function,
        module=module_of(function, reference.model),
        inputs=inputs,
        outputs=_outputs(function, reference.outputs),
        open_reference=lambda: KerasRuntime(path, device=device, model=reading.model, traced=False),
        parameters=reference.model.count_params(),
        source_format=reading.source_format,
        model=reading.model,
        choices=reading.choices,
        warnings=reading.warnings,
    )


def _shaped(inputs: tuple[TensorSpec, ...], options: SourceOptions) -> tuple[TensorSpec, ...]:
    unknown = sorted(set(options.shapes) - {spec.name for spec in inputs})
    if unknown:
        raise ConfigError(
            f"There is no input {unknown[0]!r} to give a shape.",
            received=", ".join(options.shapes),
            expected=", ".join(spec.name for spec in inputs),
            fix="Call it as the model does.",
        )
    return tuple(replace(s, shape=tuple(options.shapes.get(s.name, s.shape))) for s in inputs)


def _traced(reference: KerasRuntime, inputs: tuple[TensorSpec, ...], options: SourceOptions) -> Any:
    if not options.shapes:
        return trace_function(reference.call, inputs)
    try:
        return trace_function(reference.call, inputs)
    except (ValueError, TypeError) as error:  # Keras' own complaint about the given shapes
        raise ConversionError(
            "The model does not take inputs of the given shapes.",
            received=f"{dict(options.shapes)}: {' '.join(str(error).split())}"[:500],
            expected=", ".join(f"{spec.name}: {spec.shape}" for spec in reference.inputs),
            fix="Give shapes that fit those, the batch included.",
        ) from error


def _outputs(function: Any, outputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """As they really are: fixed with a fixed batch, and of the type that is computed.

    Keras takes what a StringLookup looks up for numbers.
    """
    found = {spec.name: function.structured_outputs[spec.name] for spec in outputs}
    typed = [replace(spec, dtype=found[spec.name].dtype.name) for spec in outputs]
    return tuple(
        replace(spec, shape=tuple(found[spec.name].shape.as_list()))
        if found[spec.name].shape.rank is not None
        else spec
        for spec in typed
    )
