"""Makes the SavedModels that are converted: python conversion_models.py NAME FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from conversion_names import DENSE, IMAGES

_WIDTH = 4096


class Dense(tf.Module):
    """Layers of matrix, vector and ReLU."""

    def __init__(self, layers: int) -> None:
        generator = np.random.default_rng(0)
        scale = np.float32((2 / _WIDTH) ** 0.5)
        self.layers = [
            (
                tf.Variable(generator.standard_normal((_WIDTH, _WIDTH), np.float32) * scale),
                tf.Variable(generator.standard_normal(_WIDTH, np.float32) * scale),
            )
            for _ in range(layers)
        ]

    @tf.function(input_signature=[tf.TensorSpec((None, _WIDTH), tf.float32, "x")])
    def __call__(self, x: Any) -> dict[str, Any]:
        for weight, bias in self.layers:
            x = tf.nn.relu(x @ weight + bias)
        return {"y": x}


def image_model(name: str) -> keras.Model:
    """The architecture with random weights, and statistics as if it had been trained."""
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    model = getattr(keras.applications, IMAGES[name])(weights=None)
    for weight in model.weights:
        if weight.path.endswith("moving_mean"):
            weight.assign(generator.normal(0, 0.1, weight.shape))
        if weight.path.endswith("moving_variance"):
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
    return model


def main(name: str, folder: Path) -> None:
    """Writes the SavedModel."""
    if name in IMAGES:
        image_model(name).export(folder, verbose=False)
        return
    model = Dense(DENSE[name])
    tf.saved_model.save(model, folder, signatures={"serving_default": model.__call__})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
