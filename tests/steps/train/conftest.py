"""A tiny dataset and recipes around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps import IngestConfig, IngestStep

INGEST = """
import numpy as np

def load_examples():
    draw = np.random.default_rng(0)
    for number in range(96):
        kind = number % 3
        image = draw.normal(kind, 0.6, (4, 4, 1)).astype("float32")
        yield {"image": image, "kind": np.int64(kind)}
"""

MODEL = """
import keras
from keras import layers

def model_fn(spec, dropout=0.3, rate=0.01, units=8):
    model = keras.Sequential([
        keras.Input(spec.inputs["image"].shape),
        layers.Flatten(),
        layers.GaussianNoise(0.1),
        layers.Dense(units, activation="relu"),
        layers.Dropout(dropout),
        layers.Dense(3),
    ])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss=loss, metrics=["accuracy"])
    return model
"""


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """96 examples of three kinds, 4x4."""
    root = tmp_path_factory.mktemp("data recipe")
    (root / "steps").mkdir()
    (root / "steps" / "ingest.py").write_text(INGEST)
    workdir = root / "ingested"
    workdir.mkdir()
    config = IngestConfig(using="custom", label="kind", split_ratios=(0.6, 0.2, 0.2))
    return IngestStep(config).run(None, workdir, StepContext(recipe_root=root)).output


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    """Makes a recipe whose steps/train.py is the model above, and more code below it."""

    def make(more: str = "", model: str = MODEL) -> Path:
        root = tmp_path / "recipe"
        (root / "steps").mkdir(parents=True, exist_ok=True)
        (root / "steps" / "train.py").write_text(model + more)
        return root

    return make


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """An empty folder for the step."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder
