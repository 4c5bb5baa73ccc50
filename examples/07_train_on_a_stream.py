"""Data that need not fit into memory: streamed into shards, and trained on from there.

The same works for folders of images, Parquet, text, arrays, videos and TFRecords: see "Your data"
in the README. Run it from any folder: `python 07_train_on_a_stream.py`.
"""

import csv
import tempfile
from pathlib import Path

import keras
import numpy as np

import mlflow_tfconv as tfconv

scratch = tempfile.TemporaryDirectory(prefix="tfconv-")  # deleted at the end
folder = Path(scratch.name)

# A table as people have them: 40 columns of numbers, one of text, one gap.
random = np.random.default_rng(0)
with (folder / "sensors.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow([*(f"sensor{n}" for n in range(40)), "state"])
    for number in range(2000):
        values = random.normal(size=40).round(4)
        state = "broken" if values[:3].sum() > 0.5 else "works"
        table.writerow(
            [*("" if number == 7 and n == 5 else v for n, v in enumerate(values)), state]
        )

# Types are inferred, the 40 columns become one feature, the text becomes classes, the gap a number.
dataset = tfconv.ingest(
    folder / "*.csv", folder / "dataset", using="csv", label="state", csv={"missing": {"*": 0.0}}
)
print(f"examples: {dict(dataset.counts)}")

train = tfconv.read_dataset(dataset, "train", batch_size=64, shuffle=True)
validation = tfconv.read_dataset(dataset, "validation", batch_size=64)
print(f"a batch: {train.element_spec[0].shape} {train.element_spec[0].dtype.name}")

model = keras.Sequential(
    [
        keras.Input((40,), name="features"),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(2, activation="softmax", name="state"),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
# The stream shuffles, and Keras need not: `shuffle=False` tells it so.
fitted = model.fit(train, validation_data=validation, epochs=6, shuffle=False, verbose=0)
print(f"validation accuracy: {fitted.history['val_accuracy'][-1]:.2f}")

# The manifest gives the examples on which the formats are compared, too.
batches = [{"features": rows.numpy()} for rows, _ in validation]
converted = tfconv.convert(model, folder / "out", formats=("onnx",), samples=batches)
print(f"ONNX agrees with Keras: {converted.parity.passed}")

scratch.cleanup()
