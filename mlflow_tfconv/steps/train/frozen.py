"""Layers that are not trained, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.layer_paths import layer_paths, matched_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What was frozen.

    Attributes:
        layers: That were trainable before.
        text: It, in words.
    """

    layers: tuple[Any, ...]
    text: str


def freeze(model: Any, patterns: Sequence[str]) -> Frozen:
    """Keeps the weights of the layers, and of all layers in them, as they are.

    A frozen BatchNormalization also keeps its moving statistics, and normalizes with them: Keras
    runs it in inference mode.

    Args:
        model: Built.
        patterns: Of names or paths of layers, such as "conv*" or "backbone/block1_*".

    Raises:
        ConfigError: A pattern is about no layer, or nothing is left to train.
    """
    named = [
        one for found in matched_layers(model, patterns, key="freeze").values() for one in found
    ]
    below = [layer for one in named for _, layer in [("", one), *layer_paths(one)]]
    layers = {id(layer): layer for layer in below if layer.trainable}
    for layer in named:
        layer.trainable = False
    _settle(model)
    if not model.trainable_weights:
        raise ConfigError(
            "Everything is frozen: there is nothing to train.",
            received=f"freeze: {list(patterns)}",
            expected="at least one layer with weights that no pattern matches",
            fix="Name fewer layers in `freeze`.",
        )
    return Frozen(layers=tuple(layers.values()), text=_in_words(model, list(layers.values())))


def unfreeze(model: Any, frozen: Frozen) -> None:
    """Lets the layers of the model be trained again that were before."""
    for layer in frozen.layers:
        layer.trainable = True
    _settle(model)


def _settle(model: Any) -> None:
    """Makes it hold: tf_keras trains what was trainable when the model was compiled."""
    if hasattr(model, "_get_trainable_state"):
        # Not by setattr, in which Keras looks for variables.
        vars(model)["_compiled_trainable_state"] = model._get_trainable_state()


def _in_words(model: Any, layers: list[Any]) -> str:
    weights = {id(weight): weight for layer in layers for weight in layer.weights}
    count = sum(_size(weight) for weight in weights.values())
    every = sum(_size(weight) for weight in model.weights)
    holders = sum(1 for layer in layers if _own_weights(layer))
    text = f"Frozen: {holders} layers with {count:,} of {every:,} parameters."
    norms = sum(1 for layer in layers if "BatchNormalization" in type(layer).__name__)
    if norms:
        text += f" {norms} of them normalize batches, now with the statistics they came with."
    return text


def _own_weights(layer: Any) -> bool:
    return bool(layer.weights) and not any(layer._flatten_layers(include_self=False))


def _size(weight: Any) -> int:
    size = 1
    for length in weight.shape:
        size *= int(length)
    return size
