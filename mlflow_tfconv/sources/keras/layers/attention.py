"""Attention layers."""

from __future__ import annotations

from typing import Any

from keras import layers

from mlflow_tfconv.runtimes.layers_of_old.attention import MaskedMultiHeadAttention
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown, plain
from mlflow_tfconv.sources.keras.translated import Translated

_HEADS = ("num_heads", "key_dim", "value_dim", "use_bias", "output_shape", "attention_axes")

_NO_MATTER = ("query_shape", "key_shape", "value_shape", "softmax_robust_masking")


def _heads(layer: LayerConfig) -> Translated:
    note_unknown(layer, {*_HEADS, *_NO_MATTER})
    masked = layer.around.dialect.masked
    today = MaskedMultiHeadAttention if masked else layers.MultiHeadAttention
    return made(today, layer, **layer.kept(_HEADS), kernel_initializer="zeros")


LAYERS: dict[str, Any] = {
    "MultiHeadAttention": _heads,
    "Attention": plain(layers.Attention, "use_scale", "score_mode", ignored=("causal",)),
    "AdditiveAttention": plain(layers.AdditiveAttention, "use_scale", ignored=("causal",)),
}
