"""Reads a `.keras` archive: of Keras 3 by its own loader, of tf.keras 2.12 to 2.15 translated."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from mlflow_tfconv.runtimes.keras_files import (
    archive_config,
    archive_version,
    opened_hdf5,
    unreadable,
)
from mlflow_tfconv.sources.keras.architecture import Architecture, architecture
from mlflow_tfconv.sources.keras.archive_weights import archive_weights
from mlflow_tfconv.sources.keras.assign_weights import assign_pairs
from mlflow_tfconv.sources.keras.build_model import build_model
from mlflow_tfconv.sources.keras.dialect import Origin
from mlflow_tfconv.sources.keras.file_in_errors import called_as, in_file
from mlflow_tfconv.sources.keras.keras_model_from_h5 import keras3_reading
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions

_WEIGHTS = "model.weights.h5"


def keras_model_from_archive(path: Path, options: SourceOptions = SourceOptions()) -> KerasReading:
    """The model in a `.keras` archive; nothing in it is executed.

    Raises:
        ConversionError: The archive is refused, damaged, or describes what can't be translated.
    """
    version = archive_version(path) or "3"
    if not version.startswith("2."):
        return keras3_reading(path, options, "keras")
    said = architecture(archive_config(path), path, "Its config.json")
    said = Architecture(config=said.config, origin=Origin(version=version, backend="tensorflow"))
    with tempfile.TemporaryDirectory(prefix="tfconv-") as folder:
        weights = _unpacked(path, Path(folder) / _WEIGHTS)
        with opened_hdf5(weights) as file, called_as(weights, path):
            return reading_by_paths(said, file, weights, options, source_format="keras_v2")


def _unpacked(path: Path, place: Path) -> Path:
    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(_WEIGHTS) as source,
            place.open("wb") as target,
        ):
            shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise unreadable(path, str(error)) from error
    return place


def reading_by_paths(
    said: Architecture, file: Any, weights: Path, options: SourceOptions, *, source_format: str
) -> KerasReading:
    """A translated model with weights that are stored by their path in the model.

    Args:
        said: The architecture.
        file: The HDF5 file of weights, opened.
        weights: It, for messages.
        options: What the user says.
        source_format: A key of `FORMATS`.

    Raises:
        ConversionError: It can't be translated, or the weights don't fit.
    """
    with in_file(weights):
        built = build_model(said.config, options, origin=said.origin)
    pairs = archive_weights(built.translated, file, weights)
    assign_pairs(built.translated, pairs, weights, built.around.warnings)
    return KerasReading(
        model=built.model,
        source_format=source_format,
        choices=tuple(built.around.choices),
        warnings=tuple(dict.fromkeys(built.around.warnings)),
    )
