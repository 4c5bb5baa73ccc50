"""Is the new model faster, and still as good? Two models are compared, and a rule decides.

The same on the command line, where the exit code says it:

    tfconv benchmark old=old.onnx new=new.onnx --samples samples.npz --labels labels.npy \
        --fail-if "new.latency/p50_ms > 1.05 * old.latency/p50_ms"

Run it from any folder: `python 08_compare_two_models.py`. It leaves the numbers and the page in
`verdict`.
"""

from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

import mlflow_tfconv as tfconv

folder = Path("verdict")  # in the current folder

# The 1,797 handwritten digits that ship inside scikit-learn, the last 360 kept for the test.
digits = load_digits()
images = np.float32(digits.images / 16).reshape(len(digits.images), 64)
train, test = slice(None, -360), slice(-360, None)


def trained(units: int, name: str) -> Path:
    """A dense network as an ONNX file."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,), name="image"),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images[train], digits.target[train], batch_size=32, epochs=6, verbose=0)
    return tfconv.convert(model, folder / name, formats=("onnx",)).onnx


# Each is measured in a process of its own, in turn; the first is the reference of the other.
report = tfconv.benchmark(
    {"old": trained(1024, "old"), "new": trained(64, "new")},
    batch_sizes=(1, 32),
    samples={"image": images[test]},
    labels=digits.target[test],
    minutes=1,
)
print(report.to_dataframe()[["latency/p50_ms", "quality/accuracy", "footprint/size_mb"]])
for row in report.rows:
    for note in row.notes:
        print(f"{row.run_name} {note}")

rules = (
    "new.latency/p50_ms > 1.05 * old.latency/p50_ms",
    "new.footprint/size_mb > old.footprint/size_mb / 2",
    "new.quality/accuracy < 0.8 or new.quality/accuracy_drop > 0.1",
)
verdicts = [report.judged(rule) for rule in rules]
for verdict in verdicts:
    print(verdict)
print("The new model may go out:", not any(verdict.met for verdict in verdicts))

(folder / "report.json").write_text(report.to_json())
(folder / "report.html").write_text(report.to_html())
print(f"The same as a page: {folder / 'report.html'}")
