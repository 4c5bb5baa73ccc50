"""The two libraries whose models are trained: Keras 3, and tf_keras, which is Keras 2."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Literal

import keras
import tensorflow as tf

Library = Literal["keras", "tf_keras"]


def library_of(thing: Any) -> Library | None:
    """Which of them a model or a callback belongs to; None for neither."""
    if isinstance(thing, keras.Model | keras.callbacks.Callback):
        return "keras"
    legacy = tf_keras_if_used()
    if legacy is not None and isinstance(thing, legacy.Model | legacy.callbacks.Callback):
        return "tf_keras"
    return None


def tf_keras_if_used() -> ModuleType | None:
    """The module tf_keras, when the user's code has imported it."""
    return sys.modules.get("tf_keras")


def module_of(model: Any) -> Any:
    """The library of a model, as a module."""
    return tf_keras_if_used() if library_of(model) == "tf_keras" else keras


def is_optimizer(thing: Any) -> bool:
    """Whether it moves weights; of tf_keras the legacy ones count as well."""
    if isinstance(thing, keras.optimizers.Optimizer):
        return True
    legacy = tf_keras_if_used()
    return legacy is not None and isinstance(
        thing, legacy.optimizers.Optimizer | legacy.optimizers.legacy.Optimizer
    )


def variables_of_optimizer(optimizer: Any) -> list[Any]:
    """All that it changes while it trains: moments, the learning rate, what scales the loss."""
    found = optimizer.variables
    known = found() if callable(found) else found
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return list(known)
    # tf_keras leaves some out of its own list.
    holders = (optimizer, getattr(optimizer, "inner_optimizer", None))
    parts = (*holders, *(getattr(one, "_loss_scale", None) for one in holders))
    values = [value for part in parts if part is not None for value in vars(part).values()]
    values += [v for one in values if isinstance(one, dict) for v in one.values()]
    return [*known, *(value for value in values if isinstance(value, tf.Variable))]


def weights_of_optimizer(optimizer: Any) -> list[Any]:
    """The weights that a built optimizer moves; empty where it does not tell."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    known = getattr(inner, "_trainable_variables", None)
    return list(known or ())


def is_built(optimizer: Any) -> bool:
    """Whether an optimizer has made the variables that it keeps for each weight."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return bool(optimizer.built)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(inner, "build"):
        return bool(getattr(inner, "_built", False))
    return len(inner.variables()) > 1  # a legacy one: it counts its steps first


def build(optimizer: Any, weights: list[Any]) -> None:
    """Makes the variables that an optimizer keeps for each weight."""
    if is_built(optimizer):
        return
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(optimizer, "build"):
        optimizer.build(weights)
    else:  # a legacy one
        optimizer._create_all_weights(weights)


def is_compiled(model: Any) -> bool:
    """Whether a model knows its optimizer and loss."""
    if library_of(model) == "tf_keras":
        return bool(getattr(model, "_is_compiled", False))
    return bool(getattr(model, "compiled", False))
