"""`FOLDER CONFIG...`: searches one after the other, in a process like a step's; says what came out.

Each CONFIG is the JSON of a train section; the searches share their finished trials, as those of a
recipe do. Writes `said-<n>.json`: the events, and the result or the error.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.config.validation import validate
from mlflow_tfconv.engine.events import Event
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.steps import IngestConfig, IngestStep, TrainConfig, TrainStep

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
import numpy as np

def model_fn(spec, rate=0.1, case="fine", kept=[]):
    if case == "raises":
        raise ValueError("a case that raises")
    if case == "crashes":
        os.kill(os.getpid(), 11)
    if case == "hungry":
        kept.append(np.ones(2 * 10**8))
    model = keras.Sequential([keras.Input((6,), name="x"), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = {"good": 0.5, "poor": 0.001, "diverges": float("inf")}.get(case, rate)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model
"""


def main(folder: Path, configs: list[dict[str, Any]]) -> None:
    dataset = ingested(folder)
    for number, config in enumerate(configs, start=1):
        said: list[Event] = []
        workdir = folder / f"work-{number}"
        workdir.mkdir(exist_ok=True)
        context = StepContext(
            recipe_root=folder, emit=said.append, parts=Parts(folder / "parts"), own_process=True
        )
        step = TrainStep(validate(TrainConfig, config, (), str))
        try:
            result = step.run(dataset, workdir, context)
            found = {"path": str(result.output.path), "card": dataclasses.asdict(result.card)}
        except TfconvError as error:
            found = {"error": str(error)}
        events = [{"event": type(e).__name__, **dataclasses.asdict(e)} for e in said]
        text = json.dumps({**found, "events": events}, default=str)
        (folder / f"said-{number}.json").write_text(text)


def ingested(folder: Path) -> Dataset:
    """The dataset, made once."""
    for name, code in (("ingest", INGEST), ("train", TRAIN)):
        (folder / "steps").mkdir(exist_ok=True)
        (folder / "steps" / f"{name}.py").write_text(code)
    workdir = folder / "ingested"
    config = IngestConfig(using="custom", label="kind", split_ratios=(0.6, 0.2, 0.2))
    if (folder / "dataset.json").exists():
        kept = json.loads((folder / "dataset.json").read_text())
        return Dataset(**{**kept, "manifest": Path(kept["manifest"])})
    workdir.mkdir()
    made = IngestStep(config).run(None, workdir, StepContext(recipe_root=folder)).output
    kept = {"manifest": str(made.manifest), "digest": made.digest, "counts": dict(made.counts)}
    (folder / "dataset.json").write_text(json.dumps(kept))
    return made


if __name__ == "__main__":
    assert tf.__version__
    main(Path(sys.argv[1]), [json.loads(text) for text in sys.argv[2:]])
