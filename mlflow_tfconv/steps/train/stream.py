"""The training split as one stream over all epochs, the same after a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.parsing import as_written
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.steps.train.job import TrainingJob

#: Parts of the names of operations whose results hang on how often they have run before.
_DRAWING = ("Random", "Multinomial", "PyFunc")


def training_stream(job: TrainingJob, *, first_epoch: int = 0) -> tf.data.Dataset:
    """The batches of all epochs from `first_epoch` on, one epoch after another, without an end mark.

    One pipeline feeds them all, so that the next epoch is read ahead while this one is validated.
    The order within epoch n depends on (seed, n) alone: a stream that starts at epoch n goes on as
    one that started at 0 would have.

    Args:
        job: The data, the batch size, epochs, seed, and the user's `augment_fn`.
        first_epoch: Number of epochs that were trained before.
    """
    augment_fn = job.functions.augment_fn
    if augment_fn is None:
        return _epochs(job, first_epoch)
    function, draws = _traced(augment_fn, read_dataset(job.manifest, "train", job.batch_size))
    if not draws:
        batches = _epochs(job, first_epoch)
        return batches.map(function, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    # Random numbers of TensorFlow's stateful operations come in the order of the calls: one call at
    # a time, and after a restart all the calls of the epochs before, without training on them.
    batches = _epochs(job, 0).map(function)
    return batches.skip(first_epoch * job.steps_per_epoch).prefetch(tf.data.AUTOTUNE)


def first_examples(job: TrainingJob) -> tuple[Any, Any]:
    """A batch as the model will get it: features, and the label or None."""
    batches = read_dataset(job.manifest, "train", job.batch_size).take(1)
    if job.functions.augment_fn is not None:
        batches = batches.map(_traced(job.functions.augment_fn, batches)[0])
    batch = next(iter(batches))
    return (batch[0], batch[1]) if isinstance(batch, tuple) else (batch, None)


def _epochs(job: TrainingJob, first: int) -> tf.data.Dataset:
    config = job.config

    @as_written  # type: ignore[untyped-decorator]
    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # Of this function's graph only. With 0 TensorFlow asks whether the other seed, a tensor
        # here, is 0 as well, and fails.
        tf.random.set_seed(config.seed + 1)
        return read_dataset(
            job.manifest, "train", job.batch_size, shuffle=config.shuffle, seed=number
        )

    # At least one epoch: Keras looks at a batch even where none is left to train.
    last = max(config.epochs, first + 1)
    return tf.data.Dataset.range(first, last).flat_map(epoch).prefetch(tf.data.AUTOTUNE)


def _traced(augment_fn: Callable[..., Any], batches: tf.data.Dataset) -> tuple[Any, bool]:
    """The user's function as a graph, and whether it draws numbers in order."""
    spec = batches.element_spec
    arguments = spec if isinstance(spec, tuple) else (spec, None)
    try:
        # AutoGraph would put its own frames and exceptions around those of the user's code.
        function = tf.function(augment_fn, autograph=False).get_concrete_function(*arguments)
    except (tf.errors.OperatorNotAllowedInGraphError, TypeError):  # it has `if tensor:` or the like
        function = tf.function(augment_fn).get_concrete_function(*arguments)
    definition = function.graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    return function, any(
        part in node.op and not node.op.startswith("Stateless")
        for node in nodes
        for part in _DRAWING
    )
