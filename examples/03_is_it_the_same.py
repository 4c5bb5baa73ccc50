"""What is in a model file, and does another file give the same outputs?

Run it from any folder: `python 03_is_it_the_same.py`.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

import mlflow_tfconv as tfconv

scratch = tempfile.TemporaryDirectory(prefix="tfconv-")  # deleted at the end
folder = Path(scratch.name)
model = keras.Sequential(
    [
        keras.Input((16,), name="reading"),
        layers.Dense(32, activation="relu"),
        layers.Dense(1, name="forecast"),
    ]
)
model.save(folder / "today.keras")

# Looking costs little: nothing is converted, and nothing in the file is executed.
print(tfconv.inspect_model(folder / "today.keras"))

converted = tfconv.convert(folder / "today.keras", folder / "exports")
batches = [{"reading": np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)}]

# A verdict on any two files, whatever their formats. It does not raise.
same = tfconv.check_parity(converted.saved_model, converted.onnx, samples=batches)
print(f"SavedModel and ONNX agree: {same.passed}, difference {same.max_abs_error:.1e}")

# A retrained model is another one.
model.compile("adam", "mse")
model.fit(batches[0]["reading"], np.ones((64, 1)), verbose=0)
model.save(folder / "tomorrow.keras")
other = tfconv.check_parity(folder / "tomorrow.keras", converted.onnx, samples=batches)
print(f"The retrained model and ONNX agree: {other.passed}, {other.problem}")

# `convert` does raise: an export that disagrees with its source is never left behind. Here more is
# asked for than float32 can give.
try:
    tfconv.convert(folder / "tomorrow.keras", folder / "exact", formats=["onnx"], tolerance=0)
except tfconv.ParityError as error:
    print(f"Refused: {error}")
    left = [path.name for path in folder.glob("exact/*")]
    print(f"Files that it left behind: {', '.join(left) or 'none'}")

scratch.cleanup()
