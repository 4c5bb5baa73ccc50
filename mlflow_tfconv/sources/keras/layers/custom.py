"""Classes that the user gives, or has registered."""

from __future__ import annotations

from typing import Any

import keras

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.translated import Translated

_PLACE = ("batch_input_shape", "input_dtype", "batch_shape", "input_shape")


def custom_class(layer: LayerConfig) -> Any:
    """The class that the user gives for a layer, or None."""
    names = [layer.written_as, str(layer.extra.get("registered_name"))]
    given = layer.around.options.custom_objects
    for name in names:
        for key in (name, name.rsplit(">", 1)[-1]):
            if key in given:
                return given[key]
            registered = keras.saving.get_registered_object(name)
            if registered is not None:
                return registered
    return None


def custom_layer(layer: LayerConfig, kind: Any) -> Translated:
    """A layer of the user's own class.

    Raises:
        ConversionError: The class can't be made from the file's config.
    """
    config = dict(layer.extra["config"])
    for name in _PLACE:
        config.pop(name, None)
    config["name"] = layer.today
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = (config["dtype"].get("config") or {}).get("name", "float32")
    try:
        live = kind.from_config(config)
    except Exception as error:  # it is the user's code
        raise ConversionError(
            f"Layer {layer.name!r} can't be made by the given class {kind.__name__}.",
            received=f"{type(error).__name__}: {error}; config {config}"[:500],
            expected="a Keras 3 layer whose from_config takes what the file has",
            fix="Have __init__ take these arguments, and **kwargs for those of every layer.",
        ) from error
    return Translated(
        name=layer.name, class_name=layer.written_as, layer=live, trainable=layer.trainable
    )


def unknown_layer(layer: LayerConfig) -> ConversionError:
    """The error for a class that nobody knows."""
    return ConversionError(
        f"Layer {layer.name!r} is of the class {layer.written_as}, which Keras does not have.",
        received=f"class_name {layer.written_as!r} with {layer.extra['config']}"[:400],
        expected="a layer of Keras, or one among the custom objects",
        fix=f'Give its class: custom_objects={{"{layer.written_as}": {layer.written_as}}}.',
    )
