"""The training split as one stream over all epochs, the same after a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.memory_budget import MemoryBudget
from mlflow_tfconv.data.parsing import as_written
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.steps.train.job import TrainingJob
from mlflow_tfconv.steps.train.spans import Span
from mlflow_tfconv.steps.train.weights import weighed

#: Parts of the names of operations whose results hang on how often they have run before.
_DRAWING = ("Random", "Multinomial", "PyFunc")
#: Batches that wait for the model, besides those that reading keeps ready; more would only take
#: memory. They let the next epoch begin to be read while this one is validated.
_AHEAD = 2


def training_stream(job: TrainingJob, span: Span) -> tf.data.Dataset:
    """The batches of a span of epochs, one epoch after another, without a mark between them.

    One pipeline feeds them all, so that the next epoch is read ahead while this one is validated.
    The order within epoch n depends on (seed, n) alone: a stream that starts later goes on as one
    that started at 0 would have.

    Args:
        job: The data, the batch size, the seed, the weights, and the user's `augment_fn`.
        span: Which batches.

    Returns:
        Batches of (features, label), of (features, label, weights), or of features alone.
    """
    augment_fn = job.functions.augment_fn
    if augment_fn is None:
        return _weighed_epochs(job, span.first, span.last, span.skip)
    function, draws = _traced(augment_fn, evaluation_stream(job, "train"))
    if not draws:
        batches = _weighed_epochs(job, span.first, span.last, span.skip)
        augmented = batches.map(_of_pairs(function), num_parallel_calls=tf.data.AUTOTUNE)
        return augmented.prefetch(_AHEAD)
    # Random numbers of TensorFlow's stateful operations come in the order of the calls: one call at
    # a time, and after a restart all the calls of the batches before, without training on them.
    batches = _weighed_epochs(job, 0, span.last).map(_of_pairs(function))
    before = span.first * job.steps_per_epoch + span.skip
    return batches.skip(before).prefetch(_AHEAD)


def evaluation_stream(job: TrainingJob, split: str) -> tf.data.Dataset:
    """The batches of a split in the order they were written, as training sees them."""
    batches = read_dataset(job.manifest, split, job.batch_size, **job.config.read.arguments())
    return weighed(batches, job, training=False)


def on_device(batches: tf.data.Dataset, job: TrainingJob) -> tf.data.Dataset:
    """The same stream, whose next batches are copied to the GPU while it computes.

    What it gives can't be changed further.
    """
    kinds = [spec.dtype for spec in tf.nest.flatten(batches.element_spec, expand_composites=True)]
    if job.context.device.kind == "cpu" or tf.string in kinds:
        return batches
    return batches.apply(tf.data.experimental.prefetch_to_device("/GPU:0", _AHEAD))


def first_examples(job: TrainingJob) -> tuple[Any, Any]:
    """A batch as the model will get it: features, and the label or None."""
    batches = evaluation_stream(job, "train").take(1)
    if job.functions.augment_fn is not None:
        batches = batches.map(_of_pairs(_traced(job.functions.augment_fn, batches)[0]))
    batch = next(iter(batches))
    return (batch[0], batch[1]) if isinstance(batch, tuple) else (batch, None)


def _weighed_epochs(job: TrainingJob, first: int, last: int, skip: int = 0) -> tf.data.Dataset:
    batches = weighed(_epochs(job, first, last, skip), job, training=True)
    return batches.prefetch(_AHEAD)


def _epochs(job: TrainingJob, first: int, last: int, skip: int) -> tf.data.Dataset:
    config = job.config

    @as_written  # type: ignore[untyped-decorator]
    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # Of this function's graph only. With 0 TensorFlow asks whether the other seed, a tensor
        # here, is 0 as well, and fails.
        tf.random.set_seed(config.seed + 1)
        return read_dataset(
            job.manifest,
            "train",
            job.batch_size,
            shuffle=config.shuffle,
            seed=number,
            skip=skip,
            **config.read.arguments(),
        )

    return tf.data.Dataset.range(first, last).flat_map(epoch).with_options(MemoryBudget().options())


def _of_pairs(function: Callable[..., Any]) -> Any:
    """The same function for batches that may have weights, which it does not see."""

    @as_written  # type: ignore[untyped-decorator]
    def augmented(features: Any, label: Any = None, *weights: Any) -> Any:
        found = function(features, label)
        return (*found, *weights) if weights else found

    return augmented


def _traced(augment_fn: Callable[..., Any], batches: tf.data.Dataset) -> tuple[Any, bool]:
    """The user's function as a graph, and whether it draws numbers in order."""
    spec = batches.element_spec
    arguments = spec[:2] if isinstance(spec, tuple) else (spec, None)
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
