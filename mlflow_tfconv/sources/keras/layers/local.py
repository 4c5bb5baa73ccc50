"""Locally connected layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlflow_tfconv.runtimes.layers_of_old.local import LocallyConnected
from mlflow_tfconv.sources.keras.activations import activation
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown
from mlflow_tfconv.sources.keras.translated import Translated


def _local(spatial: int) -> Callable[[LayerConfig], Translated]:
    def translate(layer: LayerConfig) -> Translated:
        known = {"filters", "kernel_size", "strides", "padding", "data_format", "activation"}
        note_unknown(layer, known | {"use_bias"})
        if layer.get("padding", "valid") != "valid" or layer.get("implementation", 1) != 1:
            raise layer.refused(
                "only border mode 'valid' and implementation 1 are known",
                "Make the layer with implementation=1 and load the weights into it.",
            )
        in_time = spatial == 1 and "data_format" not in layer.arguments
        return made(
            LocallyConnected,
            layer,
            filters=layer.arguments["filters"],
            kernel_size=_sizes(layer.arguments["kernel_size"], spatial),
            strides=_sizes(layer.get("strides", 1), spatial),
            channels_first=layer.channels_first and not in_time,
            activation=activation(layer),
            use_bias=layer.get("use_bias", True),
        )

    return translate


def _sizes(said: Any, spatial: int) -> tuple[int, ...]:
    return (said,) * spatial if isinstance(said, int) else tuple(said)


LAYERS: dict[str, Any] = {"LocallyConnected1D": _local(1), "LocallyConnected2D": _local(2)}
