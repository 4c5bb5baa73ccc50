"""`FOLDER`: trains on two logical CPUs as on two GPUs, interrupted and not; prints the histories."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tensorflow as tf

from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps import IngestConfig, IngestStep, TrainConfig, TrainStep
from mlflow_tfconv.steps.train import data_parallel

INGEST = """
import numpy as np

def load_examples():
    draw = np.random.default_rng(0)
    for number in range(96):
        kind = number % 2
        yield {"x": draw.normal(kind, 0.5, (6,)).astype("float32"), "kind": np.int64(kind)}
"""

TRAIN = """
import keras
from pathlib import Path

class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        mark = Path(__file__).with_name("stopped")
        if epoch == 2 and not mark.exists():
            mark.touch()
            raise KeyboardInterrupt

def callbacks_fn():
    return [Stop()]

def model_fn(spec):
    model = keras.Sequential([
        keras.Input((6,), name="x"), keras.layers.Dense(4), keras.layers.Dropout(0.2),
        keras.layers.Dense(2),
    ])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model
"""


def main(root: Path) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    data_parallel._places = lambda device: ["CPU:0", "CPU:1"]
    (root / "steps").mkdir()
    (root / "steps" / "ingest.py").write_text(INGEST)
    (root / "steps" / "train.py").write_text(TRAIN)
    for name in ("ingested", "interrupted", "whole"):
        (root / name).mkdir()
    ingest = IngestStep(IngestConfig(using="custom", label="kind"))
    dataset = ingest.run(None, root / "ingested", StepContext(recipe_root=root)).output
    step = TrainStep(TrainConfig(epochs=4, batch_size=16, early_stopping=None))
    said: list[object] = []
    context = StepContext(recipe_root=root, emit=said.append)
    try:
        step.run(dataset, root / "interrupted", context)
    except KeyboardInterrupt:
        again = step.run(dataset, root / "interrupted", context).output
    whole = step.run(dataset, root / "whole", context).output
    texts = [event.text for event in said if isinstance(event, Message)]
    print(json.dumps({"again": again.history, "whole": whole.history, "texts": texts}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
