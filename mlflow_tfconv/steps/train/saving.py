"""The trained model's file, of a format that `convert` reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.functions import FILE
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import library_of, tf_keras_if_used

_FILE = "model.keras"
_FOLDER = "saved_model"


def say_how_saved(model: Any, job: TrainingJob) -> None:
    """Warns, before the training and not after it, of what later steps will not be able to do.

    Raises:
        ConfigError: The model can't be saved at all.
    """
    if library_of(model) == "keras":
        _check_describable(model)
        problem = _not_loadable(model)
        if problem is not None:
            text = f"Later steps can't load {problem} in {FILE}."
            job.emit(Message(text=text, level="warning"))
    elif _translatable(model):
        text = (
            "A model of tf_keras is translated to Keras 3 without its loss: compress can prune and "
            "quantize it at once, but not train it meanwhile (`prune: {epochs: 0}`)."
        )
        job.emit(Message(text=text))
    else:
        text = (
            "This model of tf_keras has layers of its own, so it is saved as a SavedModel: it can "
            "be converted, and compressed as ONNX, but not as a Keras model."
        )
        job.emit(Message(text=text, level="warning"))


def save(model: Any, job: TrainingJob) -> Path:
    """Writes the model into the step's folder.

    Keras 3 writes model.keras, and so does tf_keras where `convert` can translate every layer;
    else it writes a SavedModel.
    """
    if library_of(model) == "keras" or _translatable(model):
        model.save(job.workdir / _FILE)
        return job.workdir / _FILE
    model.save(job.workdir / _FOLDER, save_format="tf")
    return job.workdir / _FOLDER


def _check_describable(model: Any) -> None:
    try:
        model.get_config()
    except NotImplementedError as e:
        raise ConfigError(
            f"The model of {FILE} could be trained, but not saved: a class of its own does not "
            "tell with which arguments it was made.",
            received=str(e).strip().partition("\n")[0],
            expected="get_config in every layer and model with arguments in __init__",
            fix="Return {**super().get_config(), name: value, ...} from get_config, and let "
            "__init__ take **kwargs for the class it is derived from.",
        ) from e


def _not_loadable(model: Any) -> str | None:
    """What has to be done so that Keras makes the model again of its file, in words."""
    unknown = sorted({type(layer).__name__ for layer in _unregistered(model)})
    if unknown:
        names = ", ".join(unknown)
        return f"{names}: decorate it with @keras.saving.register_keras_serializable()"
    if type(model).__module__.partition(".")[0] == "keras":
        return None
    kind = type(model)
    try:
        kind.from_config(model.get_config())
    except Exception as e:  # noqa: BLE001 (whatever a class of the user's own raises)
        return (
            f"{kind.__name__} ({type(e).__name__}): let its __init__ take **kwargs for "
            "keras.Model.__init__, and return its other arguments from get_config"
        )
    return None


def _unregistered(model: Any) -> Iterator[Any]:
    """The layers of the user's own that Keras would not find by their names."""
    for layer in model._flatten_layers():
        kind = type(layer)
        if kind.__module__.partition(".")[0] == "keras":
            continue
        name = keras.saving.get_registered_name(kind)
        if keras.saving.get_registered_object(name) is not kind:
            yield layer


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
