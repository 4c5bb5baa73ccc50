"""Reads an architecture (JSON or YAML), and weights from HDF5 beside it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.runtimes.keras_files import is_hdf5, opened_hdf5
from mlflow_tfconv.runtimes.load_keras import refuse_lambdas, replaced_lambdas
from mlflow_tfconv.sources.keras.architecture import Architecture, architecture_from_file
from mlflow_tfconv.sources.keras.assign_weights import assign_weights
from mlflow_tfconv.sources.keras.attributes import text_attribute
from mlflow_tfconv.sources.keras.dialect import Origin
from mlflow_tfconv.sources.keras.hdf5_weights import hdf5_weights, listed_in
from mlflow_tfconv.sources.keras.keras_model_from_archive import reading_by_paths
from mlflow_tfconv.sources.keras.keras_model_from_h5 import old_reading
from mlflow_tfconv.sources.keras.live_layers import live_layers
from mlflow_tfconv.sources.keras.not_finite import not_finite
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions


def keras_model_from_architecture(
    path: Path, weights: Path | None, options: SourceOptions = SourceOptions()
) -> KerasReading:
    """The model that a JSON or YAML file describes, with the weights of an HDF5 file.

    Args:
        path: The architecture.
        weights: The weights.
        options: What the user says about what the files leave open.

    Raises:
        ConversionError: A file is refused or damaged, or they don't fit each other.
        ConfigError: No weights are given, or they are not in HDF5.
    """
    said = architecture_from_file(path)
    weights = _required(path, weights)
    if "module" in said.config and said.origin.version is None:  # today's Keras writes no version
        return replace(
            weights_into(_model_of_today(said, path, options), weights, options),
            source_format="keras_json",
        )
    with opened_hdf5(weights) as file:
        root = file.get("model_weights", file)
        if not listed_in(root) and "layers" in root:
            return reading_by_paths(said, file, weights, options, source_format="keras_json")
        stored = hdf5_weights(weights, file)
        origin = Origin(
            version=said.origin.version or text_attribute(root, "keras_version"),
            backend=said.origin.backend or text_attribute(root, "backend"),
        )
    said = Architecture(config=said.config, origin=origin)
    return old_reading(said, stored, weights, options, source_format="keras_json")


def _required(path: Path, weights: Path | None) -> Path:
    if weights is None or not Path(weights).is_file() or not is_hdf5(Path(weights)):
        raise ConfigError(
            "An architecture alone is no model: its weights are needed.",
            received=f"{path} with weights={weights}",
            expected="an HDF5 file that model.save_weights wrote",
            fix="Name it: weights=PATH.",
        )
    return Path(weights)


def _model_of_today(said: Architecture, path: Path, options: SourceOptions) -> Any:
    """Raises when there is code in it; else what today's Keras makes of it."""
    objects = dict(options.custom_objects) | replaced_lambdas(
        said.config, options.lambdas, trust=options.trust
    )
    refuse_lambdas(said.config, path)
    try:
        return keras.saving.deserialize_keras_object(
            said.config, custom_objects=objects, safe_mode=True
        )
    except Exception as error:  # Keras raises many kinds for what is one case
        raise ConversionError(
            "Keras can't build this model.",
            received=f"{path}: {type(error).__name__}: {' '.join(str(error).split())[:400]}",
            expected="an architecture of Keras 3, whose custom classes are given or registered",
            fix="Give its classes: custom_objects={...}.",
        ) from error


def weights_into(
    model: Any, weights: Path, options: SourceOptions = SourceOptions()
) -> KerasReading:
    """A live model that the user's function built, with the weights of an HDF5 file.

    Args:
        model: It.
        weights: A file that `save_weights` of any Keras wrote.
        options: `original_backend` turns kernels around.

    Raises:
        ConversionError: The weights don't fit.
        ConfigError: It is no `keras.Model`.
    """
    if not isinstance(model, keras.Model):
        raise ConfigError(
            "The function that is given as `architecture` does not give a Keras 3 model.",
            received=f"{type(model).__module__}.{type(model).__qualname__}",
            expected="a keras.Model",
            fix="Build it with `keras`, not with tf_keras, and return it.",
        )
    with opened_hdf5(weights) as file:
        if not listed_in(file.get("model_weights", file)):
            return _by_keras_itself(model, weights)
        stored = hdf5_weights(weights, file)
    translated = live_layers(model, flips=options.original_backend == "theano")
    warnings: list[str] = []
    assign_weights(translated, stored, weights, warnings)
    return KerasReading(model=model, source_format="weights_h5", warnings=tuple(warnings))


def _by_keras_itself(model: Any, weights: Path) -> KerasReading:
    """Today's files of weights name them by their path in the model."""
    with tempfile.TemporaryDirectory(prefix="tfconv-") as folder:
        link = Path(folder) / "model.weights.h5"
        link.symlink_to(weights.absolute())
        try:
            model.load_weights(link)
        except (ValueError, OSError, KeyError) as error:
            raise ConversionError(
                f"The weights of {weights.name} don't fit the model that was built.",
                received=f"{weights}: {' '.join(str(error).split())}"[:500],
                expected=f"weights of {model.name!r}",
                fix="Name the weights that were saved from this very architecture.",
            ) from error
    return KerasReading(model=model, source_format="weights_h5", warnings=not_finite(model))
