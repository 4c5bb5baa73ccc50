"""Small training graphs as people wrote them for TensorFlow 1, saved with their checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_source_from_checkpoint import graph_source_from_checkpoint
from mlflow_tfconv.sources.options import SourceOptions

v1 = tf.compat.v1


def saved(build: Callable[[], Any], folder: Path, *, functional: bool = False) -> Path:
    """Prefix of a checkpoint with the .meta of the graph that `build` makes.

    Args:
        build: Makes the nodes in the default graph.
        folder: Where to save it.
        functional: Whether branches and loops are functions, as in TensorFlow 2.
    """
    prefix = folder / "model.ckpt"
    with _control_flow(functional), tf.Graph().as_default():
        v1.set_random_seed(7)
        build()
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
            v1.train.Saver().save(session, str(prefix))
    return prefix


def source_of(build: Callable[[], Any], folder: Path, *, functional: bool = False) -> GraphSource:
    """What is read of such a checkpoint."""
    return graph_source_from_checkpoint(
        saved(build, folder, functional=functional), SourceOptions()
    )


@contextmanager
def _control_flow(functional: bool) -> Iterator[None]:
    before = control_flow_util.ENABLE_CONTROL_FLOW_V2
    control_flow_util.ENABLE_CONTROL_FLOW_V2 = functional
    try:
        yield
    finally:
        control_flow_util.ENABLE_CONTROL_FLOW_V2 = before


def features() -> Any:
    """Examples of six numbers."""
    return v1.placeholder(tf.float32, [None, 6], "x")


def dense(x: Any, units: int, name: str, *, resource: bool | None = None) -> Any:
    """A layer; of the same name, the same weights."""
    with v1.variable_scope(name, reuse=v1.AUTO_REUSE):
        start = v1.random_normal_initializer(stddev=0.5, seed=3)
        kernel = v1.get_variable("kernel", [x.shape[-1], units], None, start, use_resource=resource)
        bias = v1.get_variable("bias", [units], initializer=start, use_resource=resource)
        return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def classify(logits: Any) -> None:
    """The training part of a classifier."""
    labels = v1.placeholder(tf.int64, [None], "labels")
    entropy = v1.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    minimize(tf.reduce_mean(entropy))
    correct = tf.equal(tf.argmax(logits, 1), labels)
    v1.summary.scalar("accuracy", tf.reduce_mean(tf.cast(correct, tf.float32)))


def minimize(loss: Any) -> None:
    """An optimizer with slots, and summaries."""
    v1.train.MomentumOptimizer(0.01, 0.9).minimize(loss)
    v1.summary.scalar("loss", loss)
    v1.summary.merge_all()


def old_dropout(x: Any, keep: Any) -> Any:
    """Dropout as TensorFlow 1 up to 1.12 wrote it."""
    with tf.name_scope("dropout"):
        return x / keep * tf.floor(keep + v1.random_uniform(tf.shape(x)))


def batch_norm(x: Any, training: Any) -> Any:
    """Batch norm by hand, with an ExponentialMovingAverage of the statistics."""
    average = v1.train.ExponentialMovingAverage(0.5)
    mean, variance = tf.nn.moments(x, [0])

    def updated() -> Any:
        with tf.control_dependencies([average.apply([mean, variance])]):
            return tf.identity(mean), tf.identity(variance)

    def kept() -> Any:
        return average.average(mean), average.average(variance)

    mean, variance = tf.cond(training, updated, kept)
    return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)


def training_batch_norm(x: Any, *, trained: bool = True) -> Any:
    """Batch norm that is always on the batch's own statistics, and keeps moving ones."""
    size = x.shape[-1]
    start = (0.3, 0.7) if trained else (0.0, 1.0)
    kept = [
        v1.get_variable(name, [size], initializer=v1.constant_initializer(s), trainable=False)
        for name, s in zip(("moving_mean", "moving_variance"), start, strict=True)
    ]
    mean, variance = tf.nn.moments(x, [0])
    updates = [
        v1.assign_sub(variable, (variable - value) * 0.1)
        for variable, value in zip(kept, (mean, variance), strict=True)
    ]
    with tf.control_dependencies(updates):
        return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)
