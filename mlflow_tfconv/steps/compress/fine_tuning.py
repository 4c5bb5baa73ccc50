"""A Keras model with its own training settings, and the stream that it is fine-tuned on."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.manifest import Manifest, open_manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.data.user_code import load_user_module, user_function
from mlflow_tfconv.errors import CompressionError, ConversionError
from mlflow_tfconv.runtimes.load_keras import load_keras

_USER_FILE = "steps/train.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStream:
    """The train split as batches.

    Attributes:
        batches: Of (features, label), in a new order each epoch.
        steps: Batches in an epoch.
        manifest: Of the dataset.
    """

    batches: tf.data.Dataset
    steps: int
    manifest: Manifest


def training_stream(
    dataset: Dataset, batch_size: int, seed: int, recipe_root: Path | None
) -> TrainingStream:
    """The train split, augmented by `augment_fn` of the recipe's steps/train.py if it has one."""
    manifest = open_manifest(dataset)
    batches = read_dataset(manifest, "train", batch_size, shuffle=True, seed=seed)
    steps = int(batches.cardinality())
    augment = recipe_root and user_function(recipe_root, _USER_FILE, "augment_fn", required=False)
    if augment:
        batches = batches.map(_with_label(augment), num_parallel_calls=tf.data.AUTOTUNE)
    return TrainingStream(
        batches=batches.prefetch(tf.data.AUTOTUNE), steps=steps, manifest=manifest
    )


def _with_label(augment: Callable[..., Any]) -> Callable[..., Any]:
    """Gives None as the label where the dataset has none."""

    def augmented(features: Any, label: Any = None) -> Any:
        return augment(features, label)

    return augmented


def load_for_training(
    path: Path, learning_rate: float | None, recipe_root: Path | None
) -> keras.Model:
    """The model, compiled as it was saved, with a fresh optimizer.

    Args:
        path: A Keras file.
        learning_rate: Instead of the saved one.
        recipe_root: Where steps/train.py may define custom classes and losses.

    Raises:
        CompressionError: It can't be loaded, or holds no training settings that can be used.
    """
    if recipe_root is not None and (recipe_root / _USER_FILE).is_file():
        load_user_module(recipe_root, _USER_FILE)
    try:
        model = load_keras(path)
    except ConversionError as error:
        raise CompressionError(
            f"The Keras model can't be fine-tuned: {error.what}",
            received=error.received,
            expected=error.expected,
            fix=f"{error.fix} Or prune at once: `epochs: 0`.",
        ) from error
    settings = _compile_settings(path)
    if not settings:
        raise _not_trainable(path, "it was saved without being compiled")
    if learning_rate is not None:
        settings["optimizer"]["config"]["learning_rate"] = learning_rate
    try:
        # The schedule counts batches, so a step has to be one batch.
        model.compile_from_config({**settings, "steps_per_execution": 1})
    except Exception as error:  # Keras raises many kinds for what it can't deserialize
        raise _not_trainable(path, f"{type(error).__name__}: {error}") from error
    return model


def _compile_settings(path: Path) -> dict[str, Any] | None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            config: Mapping[str, Any] = json.loads(archive.read("config.json"))
            return config.get("compile_config")
    return dict(keras.saving.load_model(path).get_compile_config() or {})


def _not_trainable(path: Path, why: str) -> CompressionError:
    return CompressionError(
        "The Keras model has no usable training settings, so it can't be fine-tuned.",
        received=f"{path}: {why}",
        expected="a model saved after model.compile(optimizer, loss), custom losses registered "
        "with @keras.saving.register_keras_serializable() in steps/train.py",
        fix="Compile the model before saving it, or prune at once: `epochs: 0`.",
    )
