"""A Keras model becomes a SavedModel and an ONNX file, each checked against the model itself.

Run it from any folder: `python 01_convert_a_keras_model.py`. It leaves both in `converted`.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

import mlflow_tfconv as tfconv

folder = Path("converted")  # in the current folder

# Any Keras model will do; this one is as tiny as a CNN can be.
model = keras.Sequential(
    [
        keras.Input((8, 8, 1), name="image"),
        layers.Conv2D(8, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax", name="digit"),
    ]
)

# A file or folder instead of the object: tfconv.convert("model.keras", folder). Without samples
# inputs are made up.
images = np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
converted = tfconv.convert(model, folder, samples=[{"image": images}])

print(f"SavedModel  {converted.saved_model}")
print(f"ONNX        {converted.onnx}")
for spec in (*converted.inputs, *converted.outputs):
    print(f"{spec.name:<11} {spec.dtype} {spec.shape}")
for name, parity in converted.parity.items():
    print(f"{name}: largest difference {parity.max_abs_error:.1e} over {parity.examples} examples")
