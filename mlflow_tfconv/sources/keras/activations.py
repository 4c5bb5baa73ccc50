"""Activation functions by the names that older files give them."""

from __future__ import annotations

from typing import Any

import keras

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.layers_of_old import activations as of_old
from mlflow_tfconv.sources.keras.layer_config import LayerConfig

#: Those that always meant what they mean today.
_SAME = (
    "elu", "exponential", "linear", "relu", "selu", "sigmoid", "softmax", "softplus", "softsign",
    "tanh", "gelu", "swish", "silu", "mish", "leaky_relu", "log_softmax",
)  # fmt: skip
#: Those that Keras did not have at first, and which everybody wrote by hand in the same way: the
#: Keras that brought them.
_SINCE = {"swish": (2, 4), "silu": (2, 4), "relu6": (2, 6), "mish": (2, 11)}
_OTHERS = {"hard_sigmoid": of_old.hard_sigmoid, "relu6": keras.activations.relu6}


def activation(layer: LayerConfig, argument: str = "activation", default: str = "linear") -> Any:
    """The function that an argument of a layer names.

    Raises:
        ConversionError: It is none of Keras' own and not among the custom objects.
    """
    return activation_named(layer.get(argument, default), layer)


def activation_named(said: Any, layer: LayerConfig) -> Any:
    """The function that a config names.

    Args:
        said: A name, or a dict that describes a function or a layer.
        layer: The layer that it belongs to.

    Raises:
        ConversionError: It is none of Keras' own and not among the custom objects.
    """
    custom = layer.around.options.custom_objects
    name = _name(said)
    for key in (name, name.rsplit(">", 1)[-1]):
        if key in custom and not (isinstance(custom[key], type)):
            return custom[key]
    if isinstance(said, dict) and said.get("class_name") not in (None, "function"):
        return layer.around.translate(_as_layer(said, layer), layer.around).layer
    _note_what_came_later(name, layer)
    if name in _OTHERS:
        return _OTHERS[name]
    if name in _SAME and hasattr(keras.activations, name):
        return getattr(keras.activations, name)
    raise _unknown(name, layer)


def _name(said: Any) -> str:
    if isinstance(said, dict):
        inner = said.get("config")
        said = said.get("registered_name") or inner if isinstance(inner, str) else None
        return str(said or inner)
    return str(said)


def _as_layer(said: dict[str, Any], layer: LayerConfig) -> dict[str, Any]:
    """Layers such as LeakyReLU may serve as activations; they need not have a name then."""
    inner = dict(said.get("config") or {})
    inner.setdefault("name", f"{layer.name}_activation")
    return {**said, "config": inner}


def _note_what_came_later(name: str, layer: LayerConfig) -> None:
    if layer.around.dialect.version >= _SINCE.get(name, (0, 0)):
        return
    layer.around.choices.append(
        Choice(
            what=f"activation {name!r} of layer {layer.name!r}",
            chosen=f"today's {name} of Keras",
            alternatives=("a function of your own",),
            argument="custom_objects",
            reason="the Keras that wrote the file had none; its author added one of this name",
        )
    )


def _unknown(name: str, layer: LayerConfig) -> ConversionError:
    if name == "<lambda>":
        return ConversionError(
            f"The activation of layer {layer.name!r} is a lambda, of which the file has nothing "
            "but that it was one.",
            received=f"{layer.written_as} with activation {name!r}",
            expected="the name of an activation of Keras",
            fix=f'Give the function: lambdas={{"{layer.name}": function}}.',
        )
    return ConversionError(
        f"Layer {layer.name!r} ({layer.written_as}) has the activation {name!r}, which Keras does "
        "not have.",
        received=name,
        expected=", ".join(sorted({*_SAME, *_OTHERS})),
        fix=f'Give the function: custom_objects={{"{name}": function}}.',
    )
