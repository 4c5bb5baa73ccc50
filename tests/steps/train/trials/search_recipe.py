"""A recipe whose trainings are short, for searches over it."""

from __future__ import annotations

from pathlib import Path

INGEST = """
import numpy as np

def load_examples():
    draw = np.random.default_rng(0)
    for number in range(96):
        kind = number % 2
        yield {"x": draw.normal(kind, 0.5, (6,)).astype("float32"), "kind": np.int64(kind)}
"""

TRAIN = """
import os
import keras

def model_fn(spec, rate=0.1, units=4):
    if rate < 0:
        raise ValueError("a negative rate")
    if rate > 1000:
        os.kill(os.getpid(), 11)
    model = keras.Sequential([
        keras.Input((6,), name="x"), keras.layers.Dense(units), keras.layers.Dense(2),
    ])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model
"""


def write_recipe(root: Path, train: str = TRAIN) -> Path:
    """A recipe's folder with its code."""
    (root / "steps").mkdir(parents=True, exist_ok=True)
    (root / "steps" / "ingest.py").write_text(INGEST)
    (root / "steps" / "train.py").write_text(train)
    return root
