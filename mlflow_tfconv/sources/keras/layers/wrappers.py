"""Layers that apply another layer."""

from __future__ import annotations

from typing import Any

from keras import layers

from mlflow_tfconv.runtimes.layers_of_old.bidirectional import RepeatingBidirectional
from mlflow_tfconv.runtimes.layers_of_old.time_distributed import TimeDistributed
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown
from mlflow_tfconv.sources.keras.layers.recurrent import called_with_states
from mlflow_tfconv.sources.keras.translated import Translated


def _time_distributed(layer: LayerConfig) -> Translated:
    note_unknown(layer, {"layer"})
    inner = layer.around.translate(layer.arguments["layer"], layer.around)
    translated = made(TimeDistributed, layer, layer=inner.layer)
    translated.children = (inner,)
    return translated


def _bidirectional(layer: LayerConfig) -> Translated:
    """Keras 3 makes the two directions from the config of the layer that it gets."""
    note_unknown(layer, {"layer", "backward_layer", "merge_mode"})
    config = layer.arguments["layer"]
    ahead = layer.around.translate(config, layer.around)
    back = layer.around.translate(layer.get("backward_layer") or _turned(config), layer.around)
    repeats = layer.around.dialect.repeats_masked_outputs
    live = (RepeatingBidirectional if repeats else layers.Bidirectional)(
        ahead.layer,
        merge_mode=layer.arguments.get("merge_mode"),
        backward_layer=back.layer,
        name=layer.today,
    )
    ahead.layer, back.layer = live.forward_layer, live.backward_layer
    return Translated(
        name=layer.name,
        class_name=layer.class_name,
        layer=live,
        children=(ahead, back),
        trainable=layer.trainable,
        call=called_with_states(live),
    )


def _turned(config: dict[str, Any]) -> dict[str, Any]:
    inner = dict(config["config"])
    inner["go_backwards"] = not inner.get("go_backwards", False)
    inner["name"] = f"backward_{inner.get('name', 'layer')}"
    return {**config, "config": inner}


LAYERS: dict[str, Any] = {"TimeDistributed": _time_distributed, "Bidirectional": _bidirectional}
