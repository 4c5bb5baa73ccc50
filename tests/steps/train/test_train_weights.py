"""How much each example counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import Param
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps import IngestConfig, IngestStep, TrainConfig
from mlflow_tfconv.steps.train.functions import TrainFunctions
from mlflow_tfconv.steps.train.job import TrainingJob, training_job
from mlflow_tfconv.steps.train.spans import Span
from mlflow_tfconv.steps.train.stream import evaluation_stream, training_stream
from mlflow_tfconv.steps.train.weights import classes_of, with_class_weights

# Of the class "rare" there is one example among many.
INGEST = """
CLASS_NAMES = {"kind": ("often", "less", "rare")}

def load_examples():
    for number in range(30):
        kind = "rare" if number == 0 else "less" if number % 3 == 0 else "often"
        yield {"x": [float(number)], "trust": 0.5 if number % 2 else 2.0, "kind": kind}
"""


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """30 examples of three classes, each with a weight, all for training."""
    root = tmp_path_factory.mktemp("unequal")
    (root / "steps").mkdir()
    (root / "steps" / "ingest.py").write_text(INGEST)
    (root / "data").mkdir()
    config = IngestConfig(using="custom", label="kind", split_ratios=(1.0, 0.0, 0.0))
    return IngestStep(config).run(None, root / "data", StepContext(recipe_root=root)).output


@pytest.fixture
def job(unequal: Dataset) -> Callable[..., TrainingJob]:
    def make(emit: Any = None, **config: Any) -> TrainingJob:
        context = StepContext(**({"emit": emit} if emit else {}))
        asked = TrainConfig(batch_size=30, shuffle=False, **config)
        functions = TrainFunctions(augment_fn=config.pop("augment_fn", None))
        return with_class_weights(training_job(unequal, Path(), context, asked, functions))

    return make


def batch_of(job: TrainingJob) -> Any:
    span = Span(first=0, last=1, skip=0, steps=1)
    return next(training_stream(job, span).as_numpy_iterator())


def test_balanced_classes_count_alike(job: Callable[..., TrainingJob]) -> None:
    events: list[Any] = []
    _, label, weight = batch_of(job(events.append, class_weight="balanced"))
    sums = [weight[label == number].sum() for number in range(3)]
    np.testing.assert_allclose(sums, [10, 10, 10], rtol=1e-5)
    (told,) = (event for event in events if isinstance(event, Param))
    assert told.value == '{"often": 0.5, "less": 1.1111, "rare": 10.0}'


def test_classes_are_weighed_by_name_or_number(job: Callable[..., TrainingJob]) -> None:
    for named in ({"rare": 5.0}, {"2": 5.0}):
        _, label, weight = batch_of(job(class_weight=named))
        np.testing.assert_array_equal(weight, np.where(label == 2, 5.0, 1.0))


def test_a_feature_weighs_examples_and_the_model_does_not_see_it(
    job: Callable[..., TrainingJob],
) -> None:
    weighed = job(sample_weight="trust", class_weight={"rare": 3.0})
    assert set(weighed.schema.inputs) == {"x"}
    x, label, weight = batch_of(weighed)
    trust = np.where(x[:, 0] % 2 == 1, 0.5, 2.0)
    np.testing.assert_array_equal(weight, trust * np.where(label == 2, 3.0, 1.0))


def test_classes_count_as_they_are_where_the_model_is_judged(
    job: Callable[..., TrainingJob],
) -> None:
    stream = evaluation_stream(job(sample_weight="trust", class_weight={"rare": 3.0}), "train")
    _, _, weight = next(stream.as_numpy_iterator())
    assert set(weight) == {0.5, 2.0}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"class_weight": {"raer": 1.0}}, r"does not have(.|\n)*raer(.|\n)*rare"),
        ({"sample_weight": "turst"}, r"no feature that could weigh(.|\n)*turst(.|\n)*trust"),
        ({"sample_weight": "kind"}, "no feature that could weigh"),
    ],
)
def test_weights_that_mean_nothing_are_told(
    job: Callable[..., TrainingJob], config: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        _ = job(**config).schema


def test_weights_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.class_weight\.a is out of range"):
        TrainConfig(class_weight={"a": -1.0})
    with pytest.raises(ConfigError, match="names no class"):
        TrainConfig(class_weight={})


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ([2, 0], [2, 0]),
        ([[2], [0]], [2, 0]),
        ([1.0, 0.0], [1, 0]),
        ([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [2, 0]),
        ([[[1, 2]], [[0, 1]]], [[[1, 2]], [[0, 1]]]),
    ],
)
def test_labels_of_every_form_have_classes(label: Any, classes: Any) -> None:
    assert classes_of(tf.constant(label)).numpy().tolist() == classes
