"""Normalizations."""

from __future__ import annotations

from typing import Any

from keras import layers

from mlflow_tfconv.runtimes.layers_of_old.normalization import (
    BatchStatisticsNormalization,
    SampleNormalization,
)
from mlflow_tfconv.runtimes.layers_of_old.scale import LayerScale
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown, plain
from mlflow_tfconv.sources.keras.translated import Translated


def _batch(layer: LayerConfig) -> Translated:
    note_unknown(layer, {"axis", "epsilon", "center", "scale", "mode"})
    axis = layer.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if isinstance(axis, list):
        raise layer.refused("it normalizes over several axes", "Give one axis.")
    mode, epsilon = layer.get("mode", 0), layer.get("epsilon", 1e-3)
    if mode == 1:
        return made(SampleNormalization, layer, axis=axis, epsilon=epsilon)
    if mode == 2:
        layer.around.warnings.append(
            f"Layer {layer.name!r} normalizes by the statistics of the batch it is given (mode 2): "
            "an example's output depends on the other examples of its batch."
        )
        return made(BatchStatisticsNormalization, layer, axis=axis, epsilon=epsilon)
    return made(
        layers.BatchNormalization,
        layer,
        axis=axis,
        epsilon=epsilon,
        momentum=layer.get("momentum", 0.99),
        **layer.kept(("center", "scale")),
    )


def _layer_normalization(layer: LayerConfig) -> Translated:
    axis = layer.get("axis", -1)
    return made(
        layers.LayerNormalization,
        layer,
        axis=list(axis) if isinstance(axis, list) else axis,
        epsilon=layer.get("epsilon", 1e-3),
        **layer.kept(("center", "scale")),
    )


LAYERS: dict[str, Any] = {
    "LayerScale": plain(LayerScale, ignored=("init_values", "projection_dim")),
    "BatchNormalization": _batch,
    "LayerNormalization": _layer_normalization,
    "GroupNormalization": plain(
        layers.GroupNormalization, "groups", "axis", "epsilon", "center", "scale"
    ),
}
