"""Builds the live Keras model of a darknet network, with the weights of its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.sources.darknet import plain_layers, weighted_layers
from mlflow_tfconv.sources.darknet.feature import Feature, feature_from_darknet
from mlflow_tfconv.sources.darknet.heads import HEADS, activated_head, can_activate
from mlflow_tfconv.sources.darknet.network import Layer, Network
from mlflow_tfconv.sources.darknet.weights_file import Values

INPUT_NAME = "input"
#: Variances below this differ by more than a thousandth between the two darknets.
_SMALL = 1e-2

_WITH_WEIGHTS: dict[str, Callable[[Layer, Sequence[Feature], Values], Feature]] = {
    "convolutional": weighted_layers.convolutional,
    "connected": weighted_layers.connected,
    "batchnorm": weighted_layers.batchnorm,
    "local": weighted_layers.local,
}

_PLAIN: dict[str, Callable[[Layer, Sequence[Feature]], Feature]] = {
    "maxpool": plain_layers.maxpool,
    "avgpool": plain_layers.avgpool,
    "upsample": plain_layers.upsample,
    "reorg": plain_layers.reorg,
    "route": plain_layers.route,
    "shortcut": plain_layers.shortcut,
    "scale_channels": plain_layers.multiplied,
    "sam": plain_layers.multiplied,
    "activation": plain_layers.activation,
    "logistic": plain_layers.logistic,
    "softmax": plain_layers.softmax,
    "crop": plain_layers.crop,
}

#: What gives on what it gets: losses, and layers that only matter in training.
_PASSING = frozenset({"dropout", "cost", "empty", *HEADS})


def keras_from_network(
    network: Network, values: Values, outputs: Mapping[str, str] | None = None
) -> tuple[Any, tuple[Choice, ...]]:
    """The model: images are (batch, channels, height, width), as in darknet.

    Args:
        network: The network.
        values: Its weights.
        outputs: New name to the name of a layer (`convolutional_15`), to choose what it gives. None
            takes what no layer takes; of a detection head that is its input.

    Raises:
        ConfigError: There is no such layer.
    """
    image = keras.Input(network.input_shape, name=INPUT_NAME)
    features = {-1: feature_from_darknet(image, network.input_shape)}
    for layer in network.layers:
        _require_no_head(network, layer)
        features[layer.index] = _built(layer, [features[n] for n in layer.sources], values)
    chosen = _named(network, outputs) if outputs else _ends(network)
    results = [_result(network, features, name) for name in chosen]
    choices = (*(() if outputs else _choices(network, chosen)), *_batch_norm_choices(values))
    return keras.Model(image, results[0] if len(results) == 1 else results), choices


def _built(layer: Layer, inputs: Sequence[Feature], values: Values) -> Feature:
    kind = layer.section.kind
    if kind in _WITH_WEIGHTS:
        return _WITH_WEIGHTS[kind](layer, inputs, values)
    if kind in _PASSING:
        return plain_layers.same(layer, inputs)
    return _PLAIN[kind](layer, inputs)


def _require_no_head(network: Network, layer: Layer) -> None:
    """Raises when a layer takes what a detection head gives, which is not computed on the way."""
    for source in layer.sources:
        kind = network.layers[source].section.kind if source >= 0 else ""
        if kind in HEADS and layer.section.kind not in _PASSING:
            raise layer.section.error(f"takes what a detection head gives, [{kind}]")


def _ends(network: Network) -> list[str]:
    """Names of the layers whose results nothing else takes; losses and heads are looked through."""
    taken = {
        source
        for layer in network.layers
        if layer.section.kind not in _PASSING
        for source in (_seen_through(network, n) for n in layer.sources)
    }
    ends = [_seen_through(network, n) for n in range(len(network.layers))]
    return [
        network.layers[n].name if n >= 0 else INPUT_NAME
        for n in dict.fromkeys(ends)
        if n not in taken
    ]


def _seen_through(network: Network, index: int) -> int:
    while index >= 0 and network.layers[index].section.kind in _PASSING:
        index = network.layers[index].sources[0]
    return index


def _named(network: Network, outputs: Mapping[str, str]) -> list[str]:
    names = {layer.name for layer in network.layers}
    for name in outputs.values():
        if name not in names:
            raise ConfigError(
                "The network has no such layer to take an output from.",
                received=name,
                expected=", ".join(layer.name for layer in network.layers),
                fix="Name layers by their kind and number, as darknet prints them from 0.",
            )
    return list(dict.fromkeys(outputs.values()))


def _result(network: Network, features: Mapping[int, Feature], name: str) -> Any:
    """The tensor of an output, out of a Keras layer of that name."""
    index = next((layer.index for layer in network.layers if layer.name == name), -1)
    feature = features[index]
    if index >= 0 and can_activate(network.layers[index].section):
        tensor = activated_head(network.layers[index], feature)
        return keras.layers.Identity(name=name)(tensor)
    return keras.layers.Identity(name=name)(feature.as_darknet())


def _choices(network: Network, chosen: Sequence[str]) -> tuple[Choice, ...]:
    heads = [layer for layer in network.layers if can_activate(layer.section)]
    if not heads:
        return ()
    kinds = ", ".join(sorted({f"[{layer.section.kind}]" for layer in heads}))
    choice = Choice(
        what="outputs",
        chosen=", ".join(chosen),
        alternatives=tuple(layer.name for layer in heads),
        argument="outputs",
        reason=f"what {kinds} takes, before the sigmoids or softmax of the head, which code that "
        "decodes boxes applies itself",
    )
    return (choice,)


def _batch_norm_choices(values: Values) -> tuple[Choice, ...]:
    """A choice when the variances are so small that what is added to them can be seen."""
    if all(array.min() >= _SMALL for slot, array in values.items() if slot.name == "variances"):
        return ()
    choice = Choice(
        what="batch norm",
        chosen="sqrt(variance + 1e-5)",
        alternatives=("sqrt(variance) + 1e-6",),
        reason="so computes darknet on a GPU; pjreddie's on a CPU differs where variances are "
        "small, as some are here",
    )
    return (choice,)
