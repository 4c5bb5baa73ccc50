"""Dense, Activation, Reshape and their like."""

from __future__ import annotations

from typing import Any

from keras import layers

from mlflow_tfconv.runtimes.layers_of_old.core import Highway, MaxoutDense
from mlflow_tfconv.sources.keras.activations import activation
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown, plain, zeros_for
from mlflow_tfconv.sources.keras.translated import Translated


def _activation(layer: LayerConfig) -> Translated:
    given = layer.around.options.lambdas.get(layer.name)
    if given is None:
        return made(layers.Activation, layer, activation=activation(layer))
    layer.around.lambdas_used.add(layer.name)
    return made(layers.Activation, layer, activation=given)


def _flatten(layer: LayerConfig) -> Translated:
    """Keras 1 and the first of Keras 2 flatten what is there; later ones move channels last."""
    note_unknown(layer, {"data_format"})
    first = layer.arguments.get("data_format") == "channels_first"
    return made(layers.Flatten, layer, data_format="channels_first" if first else "channels_last")


def _permute(layer: LayerConfig) -> Translated:
    return made(layers.Permute, layer, dims=tuple(layer.arguments["dims"]))


def _repeat(layer: LayerConfig) -> Translated:
    return made(layers.RepeatVector, layer, n=layer.arguments["n"])


def _einsum_dense(layer: LayerConfig) -> Translated:
    shape = layer.arguments["output_shape"]
    return made(
        layers.EinsumDense,
        layer,
        equation=layer.arguments["equation"],
        output_shape=tuple(shape) if isinstance(shape, list) else shape,
        activation=activation(layer),
        bias_axes=layer.get("bias_axes"),
        **zeros_for("kernel"),
    )


LAYERS: dict[str, Any] = {
    "Dense": plain(
        layers.Dense, "units", "use_bias", activations=("activation",), values=zeros_for("kernel")
    ),
    "EinsumDense": _einsum_dense,
    "Activation": _activation,
    "Flatten": _flatten,
    "Reshape": plain(layers.Reshape, "target_shape"),
    "Permute": _permute,
    "RepeatVector": _repeat,
    "Masking": plain(layers.Masking, "mask_value"),
    "MaxoutDense": plain(MaxoutDense, "units", "nb_feature", "use_bias"),
    "Highway": plain(Highway, "use_bias", activations=("activation",)),
    "Rescaling": plain(layers.Rescaling, "scale", "offset"),
    "UnitNormalization": plain(layers.UnitNormalization, "axis"),
    "Identity": plain(layers.Identity),
}
