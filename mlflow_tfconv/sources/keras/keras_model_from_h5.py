"""Reads a whole Keras model, or its weights, from HDF5."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.keras_files import opened_hdf5
from mlflow_tfconv.runtimes.load_keras import load_keras
from mlflow_tfconv.sources.keras.architecture import Architecture, architecture
from mlflow_tfconv.sources.keras.assign_weights import assign_weights
from mlflow_tfconv.sources.keras.attributes import text_attribute
from mlflow_tfconv.sources.keras.build_model import build_model
from mlflow_tfconv.sources.keras.dialect import Origin
from mlflow_tfconv.sources.keras.file_in_errors import in_file
from mlflow_tfconv.sources.keras.hdf5_weights import hdf5_weights
from mlflow_tfconv.sources.keras.not_finite import not_finite
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.keras.stored_layer import StoredLayer
from mlflow_tfconv.sources.options import SourceOptions


def keras_model_from_h5(path: Path, options: SourceOptions = SourceOptions()) -> KerasReading:
    """The model in an HDF5 file that Keras 1, 2 or 3, or tf.keras, wrote; nothing is executed.

    Args:
        path: The file, whatever it is called.
        options: What the user says about what the file leaves open.

    Raises:
        ConversionError: The file is refused, damaged, without an architecture, or describes what
            can't be translated; or its weights don't fit.
        ConfigError: An option names something that is not there.
    """
    with opened_hdf5(path) as file:
        config = file.attrs.get("model_config")
        if config is None:
            raise _weights_only(path)
        said = architecture(config, path, "Its model_config")
        origin = Origin(
            version=text_attribute(file, "keras_version") or said.origin.version,
            backend=text_attribute(file, "backend") or said.origin.backend,
        )
        if (origin.version or "").startswith("3."):
            return keras3_reading(path, options, "keras_h5")
        stored = hdf5_weights(path, file)
    return old_reading(
        Architecture(config=said.config, origin=origin),
        stored,
        path,
        options,
        source_format="keras_h5",
    )


def old_reading(
    said: Architecture,
    stored: tuple[StoredLayer, ...],
    path: Path,
    options: SourceOptions,
    *,
    source_format: str,
) -> KerasReading:
    """A model of an older Keras, translated, with its weights.

    Args:
        said: The architecture.
        stored: The weights.
        path: The file of the weights, for messages.
        options: What the user says.
        source_format: A key of `FORMATS`.

    Raises:
        ConversionError: It can't be translated, or the weights don't fit.
    """
    shapes = {layer.name: tuple(array.shape for array in layer.arrays) for layer in stored}
    names = tuple(array.name for layer in stored for array in layer.arrays)
    origin = replace(said.origin, names=names)
    with in_file(path):
        built = build_model(said.config, options, origin=origin, stored=shapes)
    assign_weights(built.translated, stored, path, built.around.warnings)
    return KerasReading(
        model=built.model,
        source_format=source_format,
        choices=tuple(built.around.choices),
        warnings=tuple(dict.fromkeys(built.around.warnings)),
    )


def keras3_reading(path: Path, options: SourceOptions, source_format: str) -> KerasReading:
    """A model of today's Keras, by its own loader.

    Raises:
        ConversionError: The file is refused or can't be loaded.
    """
    model = load_keras(
        path, lambdas=options.lambdas, custom_objects=options.custom_objects, trust=options.trust
    )
    return KerasReading(model=model, source_format=source_format, warnings=not_finite(model))


def _weights_only(path: Path) -> ConversionError:
    return ConversionError(
        "This HDF5 file holds weights only: the architecture (JSON) is needed.",
        received=str(path),
        expected="a whole model, saved with model.save(), or weights beside an architecture",
        fix="Give the JSON that model.to_json() wrote, or a function that builds the model: "
        "architecture=PATH_OR_FUNCTION.",
    )
