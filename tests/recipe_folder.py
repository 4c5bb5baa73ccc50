"""Recipes that tests run: the real one, and a tiny one for everything that takes many runs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_TINY_RECIPE = """\
recipe: "tfconv/v1"
device: cpu
steps:
  ingest: {using: custom, label: kind, params: {examples: {{EXAMPLES}}}}
  train: {using: custom, epochs: {{EPOCHS}}, batch_size: 16, early_stopping: null}
  convert: {formats: [onnx]}
  compress:
    variants:
      - {name: int8, quantize: static_int8}
  benchmark:
    batch_sizes: [1, 4]
    min_time_s: 0.02
    min_count: 5
    warmup_time_s: 0.01
    blocks: 2
    retries: 0
    profile: false
  register:
    validation_criteria: [{metric: quality/accuracy, min: 0.0}]
    choose: footprint/size_mb
    formats: [onnx]
"""
_TINY_INGEST = """\
import numpy as np


def load_examples(examples):
    random = np.random.default_rng(0)
    for n in range(examples):
        kind = n % 2
        yield {"x": random.normal(kind, 0.5, (4, 4, 1)).astype("float32"), "kind": kind}


CLASS_NAMES = ("low", "high")
"""
_TINY_TRAIN = """\
import keras

from units import UNITS


def model_fn(spec):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1), name="x"),
            keras.layers.Conv2D(UNITS, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax", name="kind"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@dataclass(frozen=True)
class RecipeFolder:
    """A recipe with a state folder and a home of its own."""

    root: Path
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        state = self.home / "state"
        own = {"HOME": str(self.home), "MLFLOW_RECIPES_EXECUTION_DIRECTORY": str(state)}
        # Tests of the tracking room leave MLflow's own settings in this process.
        rest = {name: v for name, v in os.environ.items() if not name.startswith("MLFLOW_")}
        return {**rest, **own, "COLUMNS": "200", "TERM": "dumb"}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "mlflow", "recipes", *words]

    def mlflow(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs `mlflow recipes ...` as a user does."""
        return subprocess.run(
            self.command(*words),
            cwd=self.root,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


def make_tiny(home: Path) -> RecipeFolder:
    root = home / "tiny récipe"
    (root / "steps").mkdir(parents=True)
    (root / "profiles").mkdir()
    (root / "recipe.yaml").write_text(_TINY_RECIPE)
    (root / "profiles" / "local.yaml").write_text("EPOCHS: 2\nEXAMPLES: 200\n")
    (root / "profiles" / "longer.yaml").write_text("EPOCHS: 3\nEXAMPLES: 200\n")
    (root / "steps" / "ingest.py").write_text(_TINY_INGEST)
    (root / "steps" / "train.py").write_text(_TINY_TRAIN)
    (root / "steps" / "units.py").write_text("UNITS = 4\n")
    return RecipeFolder(root=root, home=home)
