"""What the config says about how TensorFlow computes, set over what the user's code has compiled."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.config import (  # no public name for it
    is_op_determinism_enabled,
)

from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.functions import FILE
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import is_built, library_of, tf_keras_if_used


def seed_everything(config: TrainConfig, *, own_process: bool) -> str | None:
    """Seeds Python, numpy, TensorFlow and Keras 3; makes operations deterministic if asked to.

    Returns:
        A warning, when operations can't be made deterministic: it would last beyond the training.
    """
    keras.utils.set_random_seed(config.seed)
    if not config.deterministic or is_op_determinism_enabled():
        return None
    if own_process:
        tf.config.experimental.enable_op_determinism()
        return None
    return (
        "train.deterministic is not in force: it holds for a whole process, and this one is not "
        "the step's own. Call tf.config.experimental.enable_op_determinism() at its begin."
    )


@contextlib.contextmanager
def precision(config: TrainConfig) -> Iterator[None]:
    """Layers that are made within compute in `mixed_precision`, of Keras 3 and of tf_keras."""
    libraries = [keras, *filter(None, [tf_keras_if_used()])]
    if config.mixed_precision is None:
        yield
        return
    before = [_policy(library) for library in libraries]
    try:
        for library in libraries:
            library.mixed_precision.set_global_policy(f"mixed_{config.mixed_precision}")
        yield
    finally:
        for library, policy in zip(libraries, before, strict=True):
            library.mixed_precision.set_global_policy(policy)


@contextlib.contextmanager
def draws_of_tf_keras(config: TrainConfig) -> Iterator[None]:
    """Seeds tf_keras; its layers made within draw from generators whose state can be kept."""
    legacy = tf_keras_if_used()
    if legacy is None:
        yield
        return
    legacy.utils.set_random_seed(config.seed)
    settings = legacy.backend.experimental
    before = settings.is_tf_random_generator_enabled()
    settings.enable_tf_random_generator()
    try:
        yield
    finally:
        if not before:
            settings.disable_tf_random_generator()


def set_over_compiled(model: Any, job: TrainingJob) -> None:
    """Sets what the config names, and leaves everything else as the user has compiled it.

    Raises:
        ConfigError: The model or its loop can't do it.
    """
    config = job.config
    if job.functions.train_fn is not None:
        _refuse_with_own_loop(config)
    if config.steps_per_execution is not None:
        model.steps_per_execution = min(config.steps_per_execution, job.steps_per_epoch)
    if config.jit_compile is not None:
        _set_jit_compile(model, job, on=config.jit_compile)
    if config.gradient_accumulation is not None:
        _accumulate(model, job, config.gradient_accumulation)


def in_force(model: Any, job: TrainingJob) -> dict[str, Any]:
    """The settings that hold, whoever has set them; a model that is not compiled has fewer."""
    optimizer = getattr(model, "optimizer", None)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    found = {
        "library": f"{library_of(model)} {_version(model)}",
        "deterministic": bool(is_op_determinism_enabled()),
        "precision": _precision_of(model),
        "optimizer": None if inner is None else type(inner).__name__,
    }
    if job.functions.train_fn is None:
        found |= {
            "jit_compile": bool(model.jit_compile),
            "steps_per_execution": int(model.steps_per_execution),
        }
    accumulated = getattr(inner, "gradient_accumulation_steps", None)
    return found | ({"gradient_accumulation": accumulated} if accumulated else {})


def _policy(library: Any) -> Any:
    if library is keras:
        return keras.mixed_precision.dtype_policy()
    return library.mixed_precision.global_policy()


def _refuse_with_own_loop(config: TrainConfig) -> None:
    for key in ("steps_per_execution", "jit_compile"):
        if getattr(config, key) is not None:
            raise ConfigError(
                f"train.{key} is for the training function of Keras, which train_fn replaces.",
                received=f"{key}: {getattr(config, key)}",
                expected=f"no {key}, or no train_fn in {FILE}",
                fix="Use tf.function(jit_compile=True) in train_fn, or take the key out.",
            )


def _set_jit_compile(model: Any, job: TrainingJob, *, on: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it can't is said below, where a user sees it
        model.jit_compile = on
    if on and not model.jit_compile:
        why = (
            "Keras does not use XLA where operations have to be deterministic"
            if is_op_determinism_enabled()
            else "Keras says that XLA can't compile this model"
        )
        text = f"{why}: jit_compile is not in force."
        job.emit(Message(text=text, level="warning"))


def _accumulate(model: Any, job: TrainingJob, batches: int) -> None:
    optimizer = getattr(model, "optimizer", None)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(inner, keras.optimizers.Optimizer):
        raise ConfigError(
            "train.gradient_accumulation is for optimizers of Keras 3.",
            received="no optimizer"
            if inner is None
            else f"{type(inner).__module__}.{type(inner).__qualname__}",
            expected="a model compiled with an optimizer of keras.optimizers",
            fix="Build the model with Keras 3, use a larger batch_size, or write a train_step that "
            "accumulates.",
        )
    if is_built(inner):
        raise ConfigError(
            "train.gradient_accumulation has to be set before the optimizer is built.",
            received=f"a built {type(inner).__name__}",
            fix=f"Don't build it in {FILE}, or give it gradient_accumulation_steps there.",
        )
    inner.gradient_accumulation_steps = batches if batches > 1 else None
    if batches > job.steps_per_epoch:
        text = (
            f"Gradients of {batches} batches are averaged, but an epoch has "
            f"{job.steps_per_epoch}: the weights do not change in every epoch."
        )
        job.emit(Message(text=text, level="warning"))


def _precision_of(model: Any) -> str:
    """The types that its layers compute in, such as "float16, float32"."""
    types = {str(layer.compute_dtype) for layer in model._flatten_layers() if layer.weights}
    return ", ".join(sorted(types)) or "none"


def _version(model: Any) -> str:
    legacy = tf_keras_if_used()
    if library_of(model) == "tf_keras" and legacy is not None:
        return str(legacy.__version__)
    return str(keras.__version__)
