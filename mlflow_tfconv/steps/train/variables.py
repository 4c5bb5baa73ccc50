"""All variables that decide how a training goes on, wherever a model keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras.src.random.seed_generator import global_seed_generator  # no public name for it

from mlflow_tfconv.steps.train.libraries import is_optimizer, variables_of_optimizer

#: What `fit` resets at the start of every epoch.
METRICS = "metrics"
WEIGHTS = "weights"
_SEED = "seed"


def variable_groups(model: Any) -> dict[str, list[Any]]:
    """Name to variables, each of them once, in an order that the model's code alone decides.

    Weights, seeds, the running values of metrics, every optimizer that the model or one of its
    layers holds, and plain variables of TensorFlow that they hold.
    """
    groups = {
        METRICS: [variable for metric in model.metrics for variable in metric.variables],
        WEIGHTS: list(model.variables),
        **{name: _variables_of(thing) for name, thing in holders(model)},
        _SEED: [global_seed_generator().state],
    }
    seen: set[int] = set()
    return {name: list(_unseen(variables, seen)) for name, variables in groups.items()}


def holders(model: Any) -> Iterator[tuple[str, Any]]:
    """What a model and its layers hold besides weights: optimizers, generators, variables."""
    for position, layer in enumerate(model._flatten_layers()):
        for name, value in vars(layer).items():
            if name.startswith("_self_"):  # TensorFlow's own notes on the rest
                continue
            for place, thing in _inside(value):
                if _is_holder(thing):
                    yield f"{position}.{name}{place}", thing


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """A value, or what stands in it when it is a list or a dict."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from ((f".{key}{place}", thing) for place, thing in _inside(item))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from ((f".{number}{place}", thing) for place, thing in _inside(item))
    else:
        # tf_keras' layers that draw numbers keep a generator in one of their own.
        yield "", getattr(value, "_generator", None) or value


def _is_holder(thing: Any) -> bool:
    if isinstance(thing, keras.Layer | keras.metrics.Metric | keras.Variable):
        return False  # its variables are the model's
    return is_optimizer(thing) or isinstance(thing, tf.Variable | tf.random.Generator)


def _variables_of(thing: Any) -> list[Any]:
    if is_optimizer(thing):
        return variables_of_optimizer(thing)
    return [thing.state] if isinstance(thing, tf.random.Generator) else [thing]


def _unseen(variables: list[Any], seen: set[int]) -> Iterator[Any]:
    for variable in variables:
        # Keras 3 wraps those of TensorFlow.
        key = id(getattr(variable, "_value", variable))
        if key not in seen:
            seen.add(key)
            yield variable
