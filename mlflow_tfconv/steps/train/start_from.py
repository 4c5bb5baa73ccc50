"""The model that a training starts from, as a live Keras model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from mlflow_tfconv.data.user_code import load_user_module, user_function
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.formats.known_formats import FORMATS
from mlflow_tfconv.runtimes.names import tidy_names
from mlflow_tfconv.sources.archive_models import model_in, split_archive_path
from mlflow_tfconv.sources.archives import unpacked
from mlflow_tfconv.sources.chosen_source import ChosenSource, chosen_source
from mlflow_tfconv.sources.darknet.darknet_model import darknet_model
from mlflow_tfconv.sources.keras.built_model import built_model
from mlflow_tfconv.sources.keras.keras_reading import keras_reading, with_chosen_tensors
from mlflow_tfconv.sources.keras.object_checkpoint_model import (
    architecture_needed,
    object_checkpoint_model,
)
from mlflow_tfconv.sources.keras.reading import KerasReading
from mlflow_tfconv.sources.options import SourceOptions
from mlflow_tfconv.steps.train.transfer_config import USER_FILE, StartFromConfig

_KERAS = ("keras", "keras_h5", "weights_h5", "keras_json", "keras_yaml")
_DARKNET = ("darknet_weights", "darknet_cfg")
#: Weights that a function of the user may build the model for.
_CHECKPOINTS = ("tf_checkpoint", "tf_checkpoint_v1", "tf_checkpoint_folder")
_BUILT = (*_CHECKPOINTS, "object_checkpoint", "weights_h5", "keras_h5")


def base_model(config: StartFromConfig, root: Path) -> KerasReading:
    """Reads the model, with its weights; it is not compiled.

    Args:
        config: Which one, and how.
        root: The recipe's folder.

    Raises:
        ConfigError: There is no such file, or an option names what is not there.
        ConversionError: It can't be read, or is no model of Keras.
    """
    path = root / config.path
    _require_there(path, config.path)
    reading = _reading(path, _options(config, root))
    if isinstance(config.inputs, tuple) or isinstance(config.outputs, tuple):
        return replace(reading, model=_plain(reading.model))
    return reading


def _plain(model: Any) -> Any:
    """The same with a single input and a single output as such, and not in a dict."""
    taken = model.inputs[0] if len(model.inputs) == 1 else model.input
    given = model.outputs[0] if len(model.outputs) == 1 else model.output
    return keras.Model(taken, given, name=model.name)


def _reading(path: Path, options: SourceOptions) -> KerasReading:
    archive, inside = split_archive_path(path)
    chosen = chosen_source(path, options)
    if chosen.format == "archive":
        with unpacked(archive) as folder:
            return _reading(model_in(folder, archive, inside), options)
    reading = _read(chosen)
    return replace(
        reading,
        source_format=reading.source_format or chosen.format,
        choices=(*chosen.choices, *reading.choices),
        warnings=(*chosen.warnings, *reading.warnings),
    )


def _read(chosen: ChosenSource) -> KerasReading:
    path, options, kind = chosen.path, chosen.options, chosen.format
    if kind in _DARKNET:
        return with_chosen_tensors(darknet_model(path, options), options)
    if kind in _BUILT and callable(options.architecture):
        return _built(path, options.architecture, options)
    if kind in _KERAS:
        return keras_reading(path, options)
    if kind == "object_checkpoint":
        return with_chosen_tensors(_of_checkpoint(path, options), options)
    raise _no_keras(path, kind)


def _built(path: Path, build: Callable[[], Any], options: SourceOptions) -> KerasReading:
    model, warnings = built_model(build, path)
    if not hasattr(model, "layers"):
        raise ConfigError(
            "The function that builds the architecture gives no model that can be trained on.",
            received=f"{type(model).__module__}.{type(model).__qualname__}",
            expected="a keras.Model, or a model of tf_keras",
            fix=f"Put it into a layer of Keras, in {USER_FILE}.",
        )
    reading = KerasReading(model=model, source_format="", warnings=warnings)
    return with_chosen_tensors(reading, options) if isinstance(model, keras.Model) else reading


def _of_checkpoint(path: Path, options: SourceOptions) -> KerasReading:
    architecture, checkpoint = options.architecture, path
    if options.weights is not None:
        architecture, checkpoint = path, options.weights
    if not isinstance(architecture, Path):
        raise architecture_needed(checkpoint)
    return object_checkpoint_model(architecture, checkpoint, options)


def _no_keras(path: Path, kind: str) -> ConversionError:
    return ConversionError(
        f"Training can't start from this: {FORMATS[kind]} is a graph without layers, not a model "
        "of Keras.",
        received=str(path),
        expected="a model of Keras of any age (.keras, HDF5), an architecture with its weights "
        "(HDF5, a checkpoint of TensorFlow 2), or weights of darknet",
        fix=_ADVICE.get(kind, _GRAPH_ADVICE),
    )


_GRAPH_ADVICE = (
    "It can be converted as it is (`convert: {source: PATH}`). To train on, write its architecture "
    f"as a function in {USER_FILE} and name that: `architecture: {USER_FILE}:NAME`."
)
_ADVICE = {
    "saved_model": "When Keras saved it, its weights are a checkpoint: `start_from: {path: "
    f"FOLDER/variables/variables, architecture: {USER_FILE}:NAME}}`, or with the JSON of "
    "model.to_json(). It can be converted as it is (`convert: {source: PATH}`).",
    "onnx": "Start from the file that the ONNX model was exported from.",
}


def _require_there(path: Path, named: str) -> None:
    if split_archive_path(path)[1] is not None or path.exists():
        return
    if path.parent.is_dir() and any(path.parent.glob(f"{path.name}.*")):  # a checkpoint's prefix
        return
    application = getattr(keras.applications, named, None)
    if callable(application):
        fix = (
            f"Weights are not downloaded while training: run keras.applications.{named}()"
            f'.save("{named}.keras") once, and name that file.'
        )
    else:
        there = sorted(file.name for file in path.parent.glob("*"))[:10]
        fix = f"In that folder: {', '.join(there)}." if there else "Name an existing file."
    raise ConfigError(
        "The model to start from is not there.",
        received=f"start_from: {named} ({path})",
        expected="a file, folder or checkpoint, relative to the recipe's folder",
        fix=fix,
    )


def _options(config: StartFromConfig, root: Path) -> SourceOptions:
    if (root / USER_FILE).is_file():
        load_user_module(root, USER_FILE)  # it registers its layers with Keras
    return SourceOptions(
        inputs=_named(config.inputs),
        outputs=_named(config.outputs),
        weights=None if config.weights is None else root / config.weights,
        architecture=_architecture(config, root),
        original_backend=config.original_backend,
        lambdas=_functions(config.lambdas, root),
        custom_objects=_functions(config.custom_objects, root),
        shapes={name: tuple(shape) for name, shape in config.shapes.items()},
        trust=config.trust,
    )


def _architecture(config: StartFromConfig, root: Path) -> Path | Callable[[], Any] | None:
    if config.architecture_function is not None:
        return user_function(root, USER_FILE, config.architecture_function)
    return None if config.architecture is None else root / config.architecture


def _functions(named: Mapping[str, str], root: Path) -> dict[str, Any]:
    return {name: user_function(root, USER_FILE, function) for name, function in named.items()}


def _named(tensors: tuple[str, ...] | Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Name to tensor; one that has no new name keeps its own, tidied."""
    if tensors is None or isinstance(tensors, Mapping):
        return tensors
    return dict(zip(tidy_names(tensors), tensors, strict=True))
