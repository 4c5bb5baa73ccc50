"""The gradients of a model's loss on a batch, without training on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.libraries import module_of
from mlflow_tfconv.steps.train.stream import first_examples

_FEW = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A batch.

    Attributes:
        features: An array, or {name: array}.
        label: The same, or None.
    """

    features: Any
    label: Any


def small_batch(job: TrainingJob) -> Example:
    """The first few examples of the training split, as the model gets them."""
    features, label = first_examples(job)
    few = [keras.tree.map_structure(_first, part) for part in (features, label)]
    return Example(features=few[0], label=few[1])


def _first(array: Any) -> Any:
    return None if array is None else array[:_FEW]


def has_own_step(model: Any) -> bool:
    """Whether the model has a training step of its own, which alone knows its loss."""
    return type(model).train_step is not module_of(model).Model.train_step


def gradients_of(model: Any, batch: Example) -> list[tuple[Any, Any]] | None:
    """Pairs of a trainable weight and the gradient of the loss, without dropout.

    Returns:
        None for a model with a training step of its own.
    """
    if has_own_step(model):
        return None
    weights = list(model.trainable_weights)
    with tf.GradientTape() as tape:
        outputs = model(batch.features, training=False)
        label = tf.nest.map_structure(tf.convert_to_tensor, batch.label)
        loss = model.compute_loss(x=batch.features, y=label, y_pred=outputs)
    found = tape.gradient(loss, [as_tensorflows(weight) for weight in weights])
    pairs = zip(weights, found, strict=True)
    return [
        (weight, tf.convert_to_tensor(gradient))
        for weight, gradient in pairs
        if gradient is not None
    ]


def as_tensorflows(weight: Any) -> Any:
    """The variable of TensorFlow that a weight is, or that one of Keras 3 holds."""
    return weight if isinstance(weight, tf.Variable) else weight.value
