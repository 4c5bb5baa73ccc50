"""Shapes of inputs: batches of any size, ranks that files leave open, shapes that are asked for."""

from __future__ import annotations

import tensorflow as tf
from training_graphs import classify, dense, source_of, v1

from mlflow_tfconv.sources.graph.inference_graph import inference_graph
from mlflow_tfconv.sources.options import SourceOptions


def inferred(build, tmp_path, **options):
    return inference_graph(source_of(build, tmp_path), SourceOptions(**options))


def images(shape):
    return v1.placeholder(tf.float32, shape, "x")


def convolved(x):
    return tf.nn.relu(v1.nn.conv2d(x, v1.get_variable("w", [3, 3, 2, 4]), [1, 1, 1, 1], "SAME"))


def test_a_batch_size_that_only_shapes_remember_is_opened(tmp_path):
    def build():
        hidden = convolved(images([8, 4, 4, 2]))
        flat = tf.reshape(hidden, tf.stack([tf.shape(hidden)[0], -1]))
        classify(dense(tf.reshape(flat, [-1, 64]), 3, "b"))

    found = inferred(build, tmp_path)
    assert found.inputs[0].shape == (None, 4, 4, 2)
    assert found.outputs[0].shape == (None, 3)


def test_a_batch_size_that_the_graph_insists_on_stays_and_is_said(tmp_path):
    def build():
        classify(dense(tf.reshape(convolved(images([8, 4, 4, 2])), [8, 64]), 3, "b"))

    found = inferred(build, tmp_path)
    assert found.inputs[0].shape == (8, 4, 4, 2)
    assert "8 examples at a time" in found.warnings[0]


def test_an_unknown_rank_is_told_from_the_first_layer(tmp_path):
    def build():
        tf.reduce_mean(convolved(images(None)), [1, 2], name="pooled")

    assert inferred(build, tmp_path).inputs[0].shape == (None, None, None, 2)


def test_a_shape_that_is_asked_for_is_given(tmp_path):
    def build():
        tf.reduce_mean(convolved(images([None, None, None, 2])), [1, 2], name="pooled")

    found = inferred(build, tmp_path, shapes={"x": (1, 6, 6, 2)})
    assert found.inputs[0].shape == (1, 6, 6, 2)
    assert found.outputs[0].shape == (1, 4)


def test_what_reduces_over_the_batch_is_said(tmp_path):
    def build():
        x = v1.placeholder(tf.float32, [None, 6], "x")
        tf.identity(dense(x - tf.reduce_mean(x, 0), 3, "b"), name="y")

    assert "depend on the other examples" in inferred(build, tmp_path).warnings[0]
