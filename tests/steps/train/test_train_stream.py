from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps import TrainConfig
from mlflow_tfconv.steps.train.functions import TrainFunctions
from mlflow_tfconv.steps.train.job import TrainingJob, training_job
from mlflow_tfconv.steps.train.spans import Span
from mlflow_tfconv.steps.train.stream import training_stream

CONFIG = TrainConfig(epochs=4, batch_size=16, seed=3)


def noisy(image: tf.Tensor, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return image + tf.random.uniform(tf.shape(image)), kind


def flipped(image: tf.Tensor, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return image[:, ::-1], kind


def branching(image: tf.Tensor, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    if tf.random.uniform([]) > 0.5:  # needs AutoGraph
        image = image[:, ::-1]
    return image, kind


@pytest.mark.parametrize("augment_fn", [None, noisy, flipped, branching])
def test_a_stream_that_starts_later_goes_on_as_the_whole_one(
    dataset: Dataset, augment_fn: Any
) -> None:
    steps = job_of(dataset, CONFIG).steps_per_epoch
    whole = images(dataset, CONFIG, augment_fn=augment_fn)
    later = images(dataset, CONFIG, augment_fn=augment_fn, first_epoch=2)
    assert len(whole) == 4 * steps
    assert len(later) == 2 * steps
    for a, b in zip(whole[2 * steps :], later, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_epoch_holds_all_examples_in_another_order(dataset: Dataset) -> None:
    steps = job_of(dataset, CONFIG).steps_per_epoch
    whole = images(dataset, CONFIG)
    epochs = [np.concatenate(whole[n * steps : (n + 1) * steps]) for n in range(4)]
    assert {len(epoch) for epoch in epochs} == {dataset.counts["train"]}
    assert len({epoch.tobytes() for epoch in epochs}) == 4
    assert len({np.sort(epoch[:, 0, 0, 0]).tobytes() for epoch in epochs}) == 1


def test_other_seeds_give_other_orders_and_no_shuffling_none(dataset: Dataset) -> None:
    orders = [
        np.concatenate(images(dataset, TrainConfig(epochs=1, batch_size=16, **config)))
        for config in ({"seed": 0}, {"seed": 1}, {"shuffle": False}, {"shuffle": False, "seed": 1})
    ]
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[2], orders[3])


def test_random_changes_differ_between_epochs(dataset: Dataset) -> None:
    config = TrainConfig(epochs=2, batch_size=999, shuffle=False)
    first, second = images(dataset, config, augment_fn=noisy)
    assert not np.allclose(first, second)


def images(
    dataset: Dataset, config: TrainConfig, *, augment_fn: Any = None, first_epoch: int = 0
) -> list[np.ndarray]:
    tf.random.set_seed(config.seed)  # as every training begins
    job = job_of(dataset, config, augment_fn)
    span = Span(first=first_epoch, last=config.epochs, skip=0, steps=job.steps_per_epoch)
    return [image.numpy() for image, _ in training_stream(job, span)]


def job_of(dataset: Dataset, config: TrainConfig, augment_fn: Any = None) -> TrainingJob:
    functions = TrainFunctions(model_fn=lambda _: None, augment_fn=augment_fn)
    return training_job(dataset, Path(), StepContext(), config, functions)
