"""A live model that a function of the user builds, with the weights of a file in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.arguments import in_short
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.runtimes.keras_files import opened_hdf5
from mlflow_tfconv.sources.checkpoints.checkpoint_folder import checkpoint_of_folder
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.keras.keras_model_from_architecture import weights_into
from mlflow_tfconv.sources.keras.live_objects import fill_from_checkpoint, weights_of

_CHECKPOINTS = ("object_checkpoint", "tf_checkpoint", "tf_checkpoint_v1", "tf_checkpoint_folder")
_HDF5 = ("weights_h5", "keras_h5")


def built_model(build: Callable[[], Any], weights: Path) -> tuple[Any, tuple[str, ...]]:
    """Builds the model, fills it, and says what the user should know.

    Args:
        build: Gives a `keras.Model` of Keras 3, a model of tf_keras, or a `tf.Module`, with its
            variables made.
        weights: A checkpoint of TensorFlow, or weights in HDF5.

    Raises:
        ConfigError: The function gives something else, or no weights.
        ConversionError: The weights can't be read, or don't fit to the last one.
    """
    found = recognised(weights)
    built = _live(build)
    if found.format in _CHECKPOINTS:
        folder = found.format == "tf_checkpoint_folder"
        prefix = checkpoint_of_folder(found.path).prefix if folder else found.path
        return built, fill_from_checkpoint(built, CheckpointReader(prefix))
    if found.format in _HDF5 and isinstance(built, keras.Model):
        return built, weights_into(built, weights).warnings
    if found.format in _HDF5 and hasattr(built, "load_weights"):
        _load_hdf5(built, weights)
        return built, ()
    raise ConversionError(
        "These weights can't be put into a model that a function built.",
        received=f"{weights}: {found}; {type(built).__module__}.{type(built).__qualname__}",
        expected="a checkpoint of TensorFlow, or HDF5 weights for a model of Keras",
    )


def called(build: Callable[[], Any]) -> Any:
    """What the user's function gives.

    Raises:
        ConfigError: It raised an error.
    """
    try:
        return build()
    except Exception as error:  # it is the user's code
        raise ConfigError(
            "The function that builds the architecture raised an error.",
            received=f"{type(error).__name__}: {' '.join(str(error).split())[:400]}",
            expected="a model",
            fix="Call the function by itself first.",
        ) from error


def _live(build: Callable[[], Any]) -> Any:
    built = called(build)
    if isinstance(built, tf.Module | keras.Model) or is_tf_keras(built):
        if weights_of(built):
            return built
        fix = "Call the model once on a batch before the function returns it, or give it an Input."
        raise ConfigError(
            "The function that builds the architecture gives a model without weights.",
            received=in_short(built),
            expected="a model whose variables were made",
            fix=fix,
        )
    raise ConfigError(
        "The function that builds the architecture gives no model.",
        received=in_short(built),
        expected="a keras.Model, a model of tf_keras, or a tf.Module",
        fix="Return the model from the function.",
    )


def is_tf_keras(built: Any) -> bool:
    """Whether it is a model of Keras 2, told without importing that."""
    return any(kind.__module__.startswith("tf_keras.") for kind in type(built).__mro__)


def _load_hdf5(model: Any, weights: Path) -> None:
    """Lets Keras load it; Keras tells the kind of HDF5 file by its name, which need not be true."""
    with opened_hdf5(weights) as file:
        of_keras3 = "layer_names" not in file.attrs and "model_weights" not in file
    suffix = ".weights.h5" if of_keras3 else ".h5"
    with tempfile.TemporaryDirectory(prefix="tfconv-") as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(weights.absolute())
        try:
            model.load_weights(str(link))
        except Exception as error:  # Keras raises many kinds for what is one case
            raise ConversionError(
                f"The weights of {weights.name} don't fit the model that was built.",
                received=f"{weights}: {type(error).__name__}: {' '.join(str(error).split())[:500]}",
                expected="the weights of every layer, of its shape",
                fix="Let the function build the model as it was when the weights were saved.",
            ) from error
