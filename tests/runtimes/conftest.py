"""A tiny classifier, saved in several formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers

HOSTILE = Path(__file__).parents[1] / "fixtures/hostile"


@pytest.fixture(scope="session")
def model() -> Any:
    """4x4 images to three probabilities."""
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 1), name="image")
    hidden = layers.Conv2D(2, 3, activation="relu")(image)
    kind = layers.Dense(3, activation="softmax", name="kind")(layers.Flatten()(hidden))
    return keras.Model(image, kind)


@pytest.fixture(scope="session")
def keras_file(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as a `.keras` file."""
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    model.save(path)
    return path


@pytest.fixture
def hostile() -> Path:
    """The folder of files that must be refused."""
    return HOSTILE
