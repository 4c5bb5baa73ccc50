"""The activations of darknet (activations.h) as layers and operations of Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from mlflow_tfconv.arguments import did_you_mean
from mlflow_tfconv.sources.darknet.cfg_text import Section

Apply = Callable[[Any], Any]


def _stair(x: Any) -> Any:
    """Flat over [2n, 2n + 1), rising over [2n + 1, 2n + 2)."""
    floor, half = ops.floor(x), ops.floor(x / 2.0)
    even = ops.equal(floor, 2.0 * ops.floor(floor / 2.0))
    return ops.where(even, half, (x - floor) + half)


def _lhtan(x: Any) -> Any:
    inside = ops.clip(x, 0.0, 1.0)
    return inside + 0.001 * (x - inside)


def _plse(x: Any) -> Any:
    inside = ops.clip(x, -4.0, 4.0)
    return 0.125 * inside + 0.5 + 0.01 * (x - inside)


def _hard_mish(x: Any) -> Any:
    """0.5 x min(2, max(0, x + 2)), darknet's hard_mish_yashas."""
    return x * 0.5 * ops.clip(x + 2.0, 0.0, 2.0)


_LAYERS: dict[str, Callable[[str], Any]] = {
    "leaky": lambda name: keras.layers.LeakyReLU(negative_slope=0.1, name=name),
    "relie": lambda name: keras.layers.LeakyReLU(negative_slope=0.01, name=name),
    "relu": lambda name: keras.layers.ReLU(name=name),
    "relu6": lambda name: keras.layers.ReLU(max_value=6.0, name=name),
    "elu": lambda name: keras.layers.ELU(name=name),
    **{
        ours: lambda name, theirs=theirs: keras.layers.Activation(theirs, name=name)  # type: ignore[misc]
        for ours, theirs in {
            "logistic": "sigmoid",
            "tanh": "tanh",
            "mish": "mish",
            "swish": "silu",
            "selu": "selu",
        }.items()
    },
}

_OPERATIONS: dict[str, Apply] = {
    "linear": lambda x: x,
    "loggy": lambda x: 2.0 * ops.sigmoid(x) - 1.0,
    "ramp": lambda x: ops.relu(x) + 0.1 * x,
    "hardtan": lambda x: ops.clip(x, -1.0, 1.0),
    "lhtan": _lhtan,
    "plse": _plse,
    "stair": _stair,
    "gelu": lambda x: ops.gelu(x, approximate=True),
    "hard_mish": _hard_mish,
}


def activated(x: Any, section: Section, default: str, name: str) -> Any:
    """The tensor behind the activation that a section names.

    Raises:
        ConversionError: It is not known.
    """
    activation = section.text("activation", default)
    if activation in _LAYERS:
        return _LAYERS[activation](f"{name}_{activation}")(x)
    if activation in _OPERATIONS:
        return _OPERATIONS[activation](x)
    known = sorted({**_LAYERS, **_OPERATIONS})
    raise section.error(
        "has an activation that is not known",
        "activation",
        expected=", ".join(known),
        fix=did_you_mean(activation, known),
    )
