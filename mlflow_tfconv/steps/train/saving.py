"""The trained model's file, of a format that `convert` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import library_of, tf_keras_if_used

_FILE = "model.keras"
_FOLDER = "saved_model"


def save(model: Any, job: TrainingJob) -> Path:
    """Writes the model into the step's folder.

    Keras 3 writes model.keras, and so does tf_keras where `convert` can translate every layer;
    else it writes a SavedModel.
    """
    if library_of(model) == "keras" or _translatable(model):
        model.save(job.workdir / _FILE)
        return job.workdir / _FILE
    text = (
        "This model of tf_keras has layers of its own, so it is saved as a SavedModel: it can be "
        "converted, but not be compressed as a Keras model (pruning and clustering with training)."
    )
    job.emit(Message(text=text, level="warning"))
    model.save(job.workdir / _FOLDER, save_format="tf")
    return job.workdir / _FOLDER


def _translatable(model: Any) -> bool:
    """Whether it is made of layers of tf_keras alone, whose files say all there is."""
    legacy: Any = tf_keras_if_used()
    models = (legacy.Sequential, legacy.models.Model)
    nested = [layer for layer in model._flatten_layers() if isinstance(layer, models)]
    described = all(getattr(one, "_is_graph_network", False) for one in nested)
    own = any(
        not type(layer).__module__.startswith("tf_keras.") or "Lambda" in type(layer).__name__
        for layer in model._flatten_layers()
    )
    return described and not own
