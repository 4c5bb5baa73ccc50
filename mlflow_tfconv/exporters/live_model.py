"""Saves a live Keras model beside its exports, so that it can be pruned and measured later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from mlflow_tfconv.errors import ConfigError, ConversionError


def require_keras_model(model: Any) -> None:
    """Raises when a live object is not a Keras 3 model.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(model, keras.Model):
        raise ConfigError(
            "This can't be converted: it is neither a path nor a Keras 3 model.",
            received=f"{type(model).__module__}.{type(model).__qualname__}",
            expected="the path of a model, or a keras.Model",
            fix="Save a model of tf_keras with model.export(PATH) and convert the folder.",
        )


def save_live_model(model: Any, path: Path) -> None:
    """Writes a `.keras` file.

    Raises:
        ConversionError: Keras can't save the model.
    """
    try:
        model.save(path)
    except Exception as error:  # Keras raises many kinds for what is one case
        raise ConversionError(
            "Keras can't save this model.",
            received=f"{type(error).__name__}: {str(error).strip()[:400]}",
            fix="Build the model (call it on a batch) and register its custom classes with "
            "@keras.saving.register_keras_serializable().",
        ) from error
