"""Data and models at the edge of what can be trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps import IngestConfig, IngestStep, TrainConfig, TrainFunctions, TrainStep
from mlflow_tfconv.steps.train.fit import fit
from mlflow_tfconv.steps.train.training import Training

Run = Callable[..., Training]

INGEST = """
def load_examples(examples):
    for number in range(examples):
        yield {"x": [float(number), 1.0], "y": number % 2}
"""


@pytest.fixture
def few(tmp_path: Path) -> Callable[[int], Dataset]:
    """A dataset of so many examples, all of them for training."""

    def make(examples: int) -> Dataset:
        (tmp_path / "steps").mkdir()
        (tmp_path / "steps" / "ingest.py").write_text(INGEST)
        (tmp_path / "data").mkdir()
        ratios, params = (1.0, 0.0, 0.0), {"examples": examples}
        config = IngestConfig(using="custom", label="y", split_ratios=ratios, params=params)
        context = StepContext(recipe_root=tmp_path)
        return IngestStep(config).run(None, tmp_path / "data", context).output

    return make


@pytest.fixture
def run(workdir: Path) -> Run:
    def train(
        dataset: Dataset, model_fn: Any = None, events: Any = None, **config: Any
    ) -> Training:
        functions = TrainFunctions(model_fn=model_fn or small_model)
        context = StepContext() if events is None else StepContext(emit=events.append)
        asked = TrainConfig(**{"epochs": 2, "early_stopping": None, **config})
        return fit(dataset, workdir, context, asked, functions=functions)

    return train


def small_model(spec: Any) -> keras.Model:
    model = keras.Sequential([keras.Input(spec.inputs["x"].shape), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def test_a_single_example_in_a_larger_batch_with_everything_on(
    few: Callable[[int], Dataset], run: Run
) -> None:
    events: list[Any] = []
    asked = {"steps_per_execution": 5, "gradient_accumulation": 2, "class_weight": "balanced"}
    training = run(few(1), events=events, **asked, backup_every_steps=1)
    assert len(training.history["loss"]) == 2
    assert training.test == {}
    texts = [event.text for event in events if isinstance(event, Message)]
    assert any("no validation split" in text for text in texts)
    assert any("do not change in every epoch" in text for text in texts)


def test_an_epoch_ends_where_it_should_whatever_runs_at_once(
    few: Callable[[int], Dataset], run: Run, workdir: Path
) -> None:
    dataset, histories = few(7), []
    for together in (1, 2):  # of four batches, the last with one example
        training = run(dataset, batch_size=2, steps_per_execution=together, shuffle=False)
        histories.append(training.history["loss"])
    training = run(dataset, batch_size=2, steps_per_execution=3, shuffle=False)
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-5)
    np.testing.assert_allclose(histories[0], training.history["loss"], rtol=1e-5)


class Unsaveable(keras.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def test_a_model_that_can_not_be_saved_is_told_before_it_is_trained(
    few: Callable[[int], Dataset], run: Run
) -> None:
    def model_fn(spec: Any) -> keras.Model:
        del spec
        model = Unsaveable(2)
        model.compile("sgd", "mse")
        return model

    with pytest.raises(ConfigError, match=r"could be trained, but not saved(.|\n)*get_config"):
        run(few(2), model_fn)


def test_a_class_that_later_steps_can_not_find_is_told(
    few: Callable[[int], Dataset], run: Run
) -> None:
    class Mine(keras.layers.Dense):
        pass

    def model_fn(spec: Any) -> keras.Model:
        model = keras.Sequential([keras.Input(spec.inputs["x"].shape), Mine(2)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    events: list[Any] = []
    run(few(2), model_fn, events, epochs=1)
    warnings = [e.text for e in events if isinstance(e, Message) and e.level == "warning"]
    assert any("can't load Mine: decorate it" in text for text in warnings)


def told_wrongly(model: Any, epoch: Any) -> dict[str, float]:
    del model, epoch
    return {"loss": 0.0}


def silent(model: Any, epoch: Any) -> Iterator[dict[str, float]]:
    del model
    yield from ({} for _ in epoch.batches)


@pytest.mark.parametrize(
    ("train_fn", "words"),
    [(told_wrongly, "is no generator"), (silent, "does not tell metrics")],
)
def test_a_loop_that_tells_nothing_is_refused(
    dataset: Dataset, workdir: Path, train_fn: Any, words: str
) -> None:
    def model_fn(spec: Any) -> keras.Model:
        return keras.Sequential([keras.Input(spec.inputs["image"].shape), keras.layers.Flatten()])

    functions = TrainFunctions(model_fn=model_fn, train_fn=train_fn)
    with pytest.raises(ConfigError, match=rf"{words}(.|\n)*for features, label in epoch\.batches"):
        fit(dataset, workdir, StepContext(), TrainConfig(monitor="loss"), functions=functions)


@pytest.mark.parametrize(("key", "value"), [("batch_size", "auto")])
def test_functions_do_not_travel_to_other_processes(
    dataset: Dataset, workdir: Path, key: str, value: Any
) -> None:
    step = TrainStep(TrainConfig(**{key: value}), functions=TrainFunctions(model_fn=small_model))
    with pytest.raises(ConfigError, match=rf"train\.{key} needs a recipe"):
        step.run(dataset, workdir)
