"""Graphs that were built for training alone are rewritten to inference, or refused."""

from __future__ import annotations

import pytest
import tensorflow as tf
from tensorflow.python.training.moving_averages import assign_moving_average
from training_graphs import (
    classify,
    dense,
    features,
    minimize,
    source_of,
    training_batch_norm,
    v1,
)

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.inference_graph import inference_graph
from mlflow_tfconv.sources.options import SourceOptions


def inferred(build, tmp_path):
    return inference_graph(source_of(build, tmp_path), SourceOptions())


def test_moving_statistics_stand_for_those_of_the_batch(tmp_path):
    found = inferred(
        lambda: classify(dense(training_batch_norm(dense(features(), 8, "a")), 3, "b")), tmp_path
    )
    assert {"moving_mean", "moving_variance"} <= set(found.variables)
    assert not any(node.op in ("Mean", "SquaredDifference") for node in found.graph)
    assert "rewritten to inference" in found.warnings[0]


def test_a_fused_batch_norm_is_told_to_use_its_moving_statistics(tmp_path):
    def build():
        x = v1.placeholder(tf.float32, [None, 4, 4, 2], "x")
        ones = [v1.get_variable(n, [2], initializer=v1.ones_initializer()) for n in "gb"]
        kept = [v1.get_variable(n, [2], initializer=v1.constant_initializer(2.0)) for n in "mv"]
        y, mean, variance = v1.nn.fused_batch_norm(x, *ones)
        for variable, value in zip(kept, (mean, variance), strict=True):
            v1.assign(variable, variable * 0.9 + value * 0.1)
        tf.identity(y, name="y")

    found = inferred(build, tmp_path)
    norm = next(node for node in found.graph if node.op.startswith("FusedBatchNorm"))
    assert not norm.attr["is_training"].b
    assert {"m", "v"} <= set(found.variables)


@pytest.mark.parametrize("resource", [False, True])
def test_of_averages_with_zero_debias_the_corrected_ones_are_taken(tmp_path, resource):
    def build():
        hidden = dense(features(), 8, "a")
        start = v1.constant_initializer(0.4)
        mean, variance = tf.nn.moments(hidden, [0])
        updates = []
        for name, value in (("mean", mean), ("variance", variance)):
            kept = v1.get_variable(name, [8], None, start, use_resource=resource)
            updates.append(assign_moving_average(kept, value, 0.9, zero_debias=True))
        with tf.control_dependencies(updates):
            hidden = tf.nn.batch_normalization(hidden, mean, variance, None, None, 1e-3)
        classify(dense(hidden, 3, "b"))

    assert {"mean", "variance"} <= set(inferred(build, tmp_path).variables)


def test_statistics_that_nobody_kept_are_refused_with_their_node(tmp_path):
    def build():
        mean, variance = tf.nn.moments(dense(features(), 8, "a"), [0])
        hidden = tf.nn.batch_normalization(dense(features(), 8, "c"), mean, variance, None, None, 1)
        classify(dense(hidden, 3, "b"))

    with pytest.raises(ConversionError, match=r"moments/variance.*statistics of its own batch"):
        inferred(build, tmp_path)


def test_statistics_that_were_never_updated_are_refused(tmp_path):
    def build():
        classify(dense(training_batch_norm(dense(features(), 8, "a"), trained=False), 3, "b"))

    with pytest.raises(ConversionError, match="never updated"):
        inferred(build, tmp_path)


def test_statistics_of_one_example_are_left_alone(tmp_path):
    def build():
        hidden = dense(features(), 8, "a")
        mean, variance = tf.nn.moments(hidden, [1], keepdims=True)
        classify(dense(tf.nn.batch_normalization(hidden, mean, variance, None, None, 1), 3, "b"))

    found = inferred(build, tmp_path)
    assert not found.rewritten
    assert not found.warnings


@pytest.mark.parametrize("written", ["today", "mask", "floor"])
def test_dropout_with_a_constant_rate_goes(tmp_path, written):
    def dropped(x):
        drawn = v1.random_uniform(tf.shape(x))
        if written == "today":
            return v1.nn.dropout(x, rate=0.3)
        if written == "mask":
            return x * tf.cast(drawn < 0.7, tf.float32) / 0.7
        return tf.math.divide(x, 0.7) * tf.floor(0.7 + drawn)

    found = inferred(lambda: classify(dense(dropped(dense(features(), 8, "a")), 3, "b")), tmp_path)
    layers = [node for node in found.graph if node.op in ("Mul", "RealDiv", "SelectV2")]
    assert not layers
    assert "dropout was taken away" in found.warnings[0]


def test_a_mask_without_a_scale_becomes_its_expectation(tmp_path):
    def build():
        hidden = dense(features(), 8, "a")
        mask = tf.floor(0.5 + v1.random_uniform(tf.shape(hidden)))
        classify(dense(hidden * mask, 3, "b"))

    found = inferred(build, tmp_path)
    factor = next(node for node in found.graph if node.name.endswith("/expectation"))
    assert tf.make_ndarray(factor.attr["value"].tensor) == pytest.approx(0.5)


def test_the_twin_without_dropout_is_taken(tmp_path):
    def build():
        x = features()
        train = dense(v1.nn.dropout(dense(x, 8, "a"), rate=0.3), 3, "b")
        test = dense(dense(x, 8, "a"), 3, "b")
        classify(train)
        tf.nn.softmax(test, name="p")

    found = inferred(build, tmp_path)
    assert [spec.name for spec in found.outputs] == ["p"]
    assert not found.rewritten


def test_noise_is_refused_with_the_way_to_feed_it(tmp_path):
    def build():
        mean = dense(features(), 2, "mean")
        code = mean + v1.random_normal(tf.shape(mean), name="eps")
        minimize(tf.reduce_mean(tf.square(features() - dense(code, 6, "decode"))))

    with pytest.raises(ConversionError, match="draws random numbers") as caught:
        inferred(build, tmp_path)
    assert "'noise': 'eps/RandomStandardNormal:0'" in str(caught.value)


def test_a_state_that_changes_with_every_call_is_refused(tmp_path):
    def build():
        state = v1.get_variable("state", [6], initializer=v1.zeros_initializer())
        tf.identity(dense(features() + v1.assign_add(state, tf.ones([6])), 3, "b"), name="y")

    source = source_of(build, tmp_path)
    with pytest.raises(ConversionError, match="changes a state"):
        inference_graph(source, SourceOptions(outputs={"y": "y:0"}))
