"""Scalars that switch between training and inference are told by what they do."""

from __future__ import annotations

import pytest
import tensorflow as tf
from training_graphs import batch_norm, classify, dense, features, old_dropout, source_of, v1

from mlflow_tfconv.sources.graph.inference_graph import inference_graph
from mlflow_tfconv.sources.options import SourceOptions


def flags(build, tmp_path, *, functional=False):
    """Name of a flag to its value; the rest of the graph must be free of random numbers."""
    source = source_of(build, tmp_path, functional=functional)
    found = inference_graph(source, SourceOptions())
    assert [spec.name for spec in found.inputs] == ["x"]
    assert not any("Random" in node.op or node.op == "Switch" for node in found.graph)
    return {flag.name: flag.value.item() for flag in found.flags}


def with_dropout(dropped):
    """A classifier whose hidden layer goes through something."""
    hidden = dropped(tf.nn.relu(dense(features(), 8, "a")))
    hidden.set_shape([None, 8])
    classify(dense(hidden, 3, "b"))


def test_a_rate_of_keeping_becomes_one(tmp_path):
    keep = lambda x: old_dropout(x, v1.placeholder(tf.float32, name="anything"))  # noqa: E731
    assert flags(lambda: with_dropout(keep), tmp_path) == {"anything": 1.0}


def test_a_rate_of_dropping_becomes_zero(tmp_path):
    drop = lambda x: v1.nn.dropout(x, rate=v1.placeholder(tf.float32, [], "r"))  # noqa: E731
    assert flags(lambda: with_dropout(drop), tmp_path) == {"r": 0.0}


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize(("name", "on"), [("training", True), ("deterministic", False)])
def test_the_branch_without_dropout_is_taken_whatever_the_name(tmp_path, functional, name, on):
    def dropped(x):
        flag = v1.placeholder(tf.bool, [], name)
        random, plain = (lambda: v1.nn.dropout(x, rate=0.5)), (lambda: x)
        return tf.cond(flag, random if on else plain, plain if on else random)

    assert flags(lambda: with_dropout(dropped), tmp_path, functional=functional) == {name: not on}


def test_a_rate_that_a_condition_chooses_is_followed(tmp_path):
    def dropped(x):
        mode = v1.placeholder(tf.bool, [], "mode")
        keep = tf.cond(mode, lambda: tf.constant(0.5), lambda: tf.constant(1.0))
        return old_dropout(x, keep)

    assert flags(lambda: with_dropout(dropped), tmp_path) == {"mode": False}


def test_of_a_mode_that_is_a_number_the_last_is_inference(tmp_path):
    def dropped(x):
        training = tf.equal(v1.placeholder(tf.int32, [], "mode"), 0)
        return tf.cond(training, lambda: v1.nn.dropout(x, rate=0.5), lambda: x)

    assert flags(lambda: with_dropout(dropped), tmp_path) == {"mode": 2}


def test_a_variable_that_was_saved_as_training_is_set_to_inference(tmp_path):
    def dropped(x):
        training = v1.get_variable("is_training", initializer=True, trainable=False)
        return tf.cond(training, lambda: v1.nn.dropout(x, rate=0.5), lambda: x)

    assert flags(lambda: with_dropout(dropped), tmp_path) == {"is_training": False}


@pytest.mark.parametrize("functional", [False, True])
def test_kept_statistics_win_over_those_of_the_batch(tmp_path, functional):
    def normalized(x):
        return batch_norm(x, v1.placeholder(tf.bool, name="phase"))

    build = lambda: with_dropout(normalized)  # noqa: E731
    assert flags(build, tmp_path, functional=functional) == {"phase": False}
    assert not any("moments" in node.name for node in _graph(build, tmp_path) if node.op == "Mean")


def test_a_flag_that_is_named_as_input_stays_one(tmp_path):
    keep = lambda x: old_dropout(x, v1.placeholder(tf.float32, [], "keep"))  # noqa: E731
    source = source_of(lambda: with_dropout(keep), tmp_path)
    named = {"x": "x:0", "random": "dropout/random_uniform/RandomUniform", "keep": "keep:0"}
    found = inference_graph(source, SourceOptions(inputs=named))
    assert [spec.name for spec in found.inputs] == ["x", "random", "keep"]


def test_every_flag_is_said_with_its_alternatives(tmp_path):
    keep = lambda x: old_dropout(x, v1.placeholder(tf.float32, [], "keep"))  # noqa: E731
    found = inference_graph(source_of(lambda: with_dropout(keep), tmp_path), SourceOptions())
    choice = next(choice for choice in found.choices if choice.what.startswith("keep"))
    assert (choice.chosen, choice.alternatives) == ("1.0", ("an input", "0.0"))


def _graph(build, tmp_path):
    return inference_graph(source_of(build, tmp_path), SourceOptions()).graph
