"""What the config sets over what the user has compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps import TrainConfig
from mlflow_tfconv.steps.train.functions import TrainFunctions
from mlflow_tfconv.steps.train.job import TrainingJob, training_job
from mlflow_tfconv.steps.train.settings import (
    in_force,
    precision,
    seed_everything,
    set_over_compiled,
)

Events = list[Any]
MakeJob = Callable[..., TrainingJob]


@pytest.fixture
def events() -> Events:
    return []


@pytest.fixture
def job(dataset: Dataset, events: Events) -> MakeJob:
    def make(train_fn: Any = None, **config: Any) -> TrainingJob:
        functions = TrainFunctions(model_fn=lambda _: None, train_fn=train_fn)
        context = StepContext(emit=events.append)
        asked = TrainConfig(**{"batch_size": 16, **config})
        return training_job(dataset, Path(), context, asked, functions)

    return make


def small_model(**compiled: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(
        **{"optimizer": keras.optimizers.SGD(0.5, momentum=0.1), "loss": "mse"} | compiled
    )
    return model


def test_what_the_config_names_is_set_and_the_rest_is_left(job: MakeJob) -> None:
    model = small_model(metrics=["mae"])
    asked = job(steps_per_execution=3, jit_compile=True, gradient_accumulation=2)
    set_over_compiled(model, asked)
    found = in_force(model, asked)
    assert (found["steps_per_execution"], found["jit_compile"]) == (3, True)
    assert found["gradient_accumulation"] == 2
    assert (model.optimizer.momentum, float(model.optimizer.learning_rate)) == (0.1, 0.5)
    assert model.loss == "mse"


def test_without_a_key_what_the_user_compiled_holds(job: MakeJob) -> None:
    optimizer = keras.optimizers.SGD(gradient_accumulation_steps=4)
    model = small_model(optimizer=optimizer, steps_per_execution=2, jit_compile=True)
    set_over_compiled(model, job())
    found = in_force(model, job())
    assert (found["steps_per_execution"], found["jit_compile"]) == (2, True)
    assert found["gradient_accumulation"] == 4


def test_one_accumulated_batch_is_none(job: MakeJob) -> None:
    model = small_model(optimizer=keras.optimizers.SGD(gradient_accumulation_steps=4))
    set_over_compiled(model, job(gradient_accumulation=1))
    assert "gradient_accumulation" not in in_force(model, job())


def test_no_more_batches_run_at_once_than_an_epoch_has(job: MakeJob) -> None:
    model = small_model()
    set_over_compiled(model, job(steps_per_execution=1000))
    assert model.steps_per_execution == job().steps_per_epoch


def test_more_accumulated_batches_than_an_epoch_has_are_told(job: MakeJob, events: Events) -> None:
    set_over_compiled(small_model(), job(gradient_accumulation=99))
    (warning,) = (event for event in events if isinstance(event, Message))
    assert "do not change in every epoch" in warning.text


def test_the_scaled_optimizer_of_float16_accumulates_inside(job: MakeJob) -> None:
    config = TrainConfig(mixed_precision="float16")
    with precision(config):
        model = small_model()
    set_over_compiled(model, job(gradient_accumulation=3))
    assert model.optimizer.inner_optimizer.gradient_accumulation_steps == 3
    assert in_force(model, job())["precision"] == "float16"


def test_the_precision_of_others_is_left_as_it_was() -> None:
    import tf_keras

    with precision(TrainConfig(mixed_precision="bfloat16")):
        assert keras.mixed_precision.dtype_policy().name == "mixed_bfloat16"
        assert tf_keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    assert keras.mixed_precision.dtype_policy().name == "float32"
    assert tf_keras.mixed_precision.global_policy().name == "float32"


def test_tf_keras_accumulates_no_gradients(job: MakeJob) -> None:
    import tf_keras

    model = tf_keras.Sequential([tf_keras.layers.Input((3,)), tf_keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(ConfigError, match=r"optimizers of Keras 3(.|\n)*tf_keras"):
        set_over_compiled(model, job(gradient_accumulation=2))
    set_over_compiled(model, job(steps_per_execution=2))
    assert in_force(model, job())["steps_per_execution"] == 2


@pytest.mark.parametrize("key", ["steps_per_execution", "jit_compile"])
def test_a_loop_of_ones_own_calls_graphs_itself(job: MakeJob, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"train\.{key} .* which train_fn replaces"):
        set_over_compiled(small_model(), job(train_fn=lambda *_: None, **{key: 1}))


def test_operations_of_a_process_that_is_not_the_steps_own_are_left() -> None:
    warning = seed_everything(TrainConfig(deterministic=True), own_process=False)
    assert warning is not None
    assert "enable_op_determinism" in warning
    assert seed_everything(TrainConfig(seed=5), own_process=False) is None
    first = float(tf.random.uniform([]))
    seed_everything(TrainConfig(seed=5), own_process=False)
    assert float(tf.random.uniform([])) == first
