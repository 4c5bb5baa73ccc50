"""Reads a Keras model of any age, in any of the files that hold one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow_tfconv.runtimes.keras_files import is_archive, is_hdf5, opened_hdf5
from mlflow_tfconv.sources.keras.chosen_tensors import chosen_tensors
from mlflow_tfconv.sources.keras.keras_model_from_architecture import (
    keras_model_from_architecture,
)
from mlflow_tfconv.sources.keras.keras_model_from_archive import keras_model_from_archive
from mlflow_tfconv.sources.keras.keras_model_from_h5 import keras_model_from_h5
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions


def keras_reading(path: Path, options: SourceOptions = SourceOptions()) -> KerasReading:
    """The model in a file, told by its content, with the inputs and outputs that are wanted.

    Args:
        path: A `.keras` archive, an HDF5 file (whole or weights), or an architecture.
        options: What the user says; `weights` and `architecture` belong to the other.

    Raises:
        ConversionError: The file is refused, damaged, or can't be translated.
        ConfigError: An option names something that is not there.
    """
    path = Path(path)
    if is_archive(path):
        reading = keras_model_from_archive(path, options)
    elif is_hdf5(path):
        reading = _from_hdf5(path, options)
    else:
        reading = keras_model_from_architecture(path, options.weights, options)
    return with_chosen_tensors(reading, options)


def with_chosen_tensors(reading: KerasReading, options: SourceOptions) -> KerasReading:
    """The same with the inputs and outputs that the user wants.

    Raises:
        ConfigError: One is not there.
    """
    if options.inputs is None and options.outputs is None:
        return reading
    model: Any = chosen_tensors(reading.model, options.inputs, options.outputs)
    return replace(reading, model=model)


def _from_hdf5(path: Path, options: SourceOptions) -> KerasReading:
    with opened_hdf5(path) as file:
        whole = "model_config" in file.attrs
    if whole or not isinstance(options.architecture, Path | str):
        return keras_model_from_h5(path, options)
    return keras_model_from_architecture(Path(options.architecture), path, options)
