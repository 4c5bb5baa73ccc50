"""A trained model becomes an int8 ONNX file; both are measured side by side.

Run it from any folder: `python 02_compress_and_compare.py`. It leaves the models and the page in
`compared`.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import mlflow_tfconv as tfconv

folder = Path("compared")  # in the current folder

# The 1,797 handwritten digits that ship inside scikit-learn, the last 360 kept for the test.
digits = load_digits()
images = np.float32(digits.images / 16)[..., np.newaxis]
train, test = slice(None, -360), slice(-360, None)

model = keras.Sequential(
    [
        keras.Input((8, 8, 1), name="image"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, activation="softmax", name="digit"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images[train], digits.target[train], batch_size=32, epochs=6, verbose=0)
converted = tfconv.convert(model, folder, samples=[{"image": images[test]}])

# Ranges of the activations are measured on examples like those the model will meet: never on
# those it is judged by.
batches = [{"image": images[start : start + 64]} for start in range(0, 512, 64)]
variant = tfconv.compress(
    converted.onnx, folder / "int8.onnx", quantize="static_int8", calibration=batches
)
print(f"{variant.path} holds {variant.audit.quantized_nodes} nodes that compute in integers")
print(f"bytes of weights by type: {dict(variant.audit.weights_bytes)}")

report = tfconv.benchmark(
    {"float32": converted.onnx, "int8": variant},
    batch_sizes=(1, 32),
    samples={"image": images[test]},
    labels=digits.target[test],
)
columns = ["quality/accuracy", "quality/agreement", "latency/p50_ms", "latency/p50_ms_b32"]
print(report.to_dataframe()[[*columns, "footprint/size_mb", "footprint/host_peak_mb"]].T)
(folder / "report.html").write_text(report.to_html())
print(f"The same as a page: {folder / 'report.html'}")
