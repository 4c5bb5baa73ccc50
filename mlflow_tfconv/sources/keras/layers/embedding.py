"""Embeddings."""

from __future__ import annotations

from typing import Any

from keras import layers

from mlflow_tfconv.sources.keras.layers.plain import plain, zeros_for

LAYERS: dict[str, Any] = {
    "Embedding": plain(
        layers.Embedding,
        "input_dim",
        "output_dim",
        "mask_zero",
        values=zeros_for("embeddings"),
    ),
}
