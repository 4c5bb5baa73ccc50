"""Moving averages of weights: whether they are taken, and that there is a choice."""

from __future__ import annotations

import pytest
from training_graphs import dense, features, source_of, v1

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.graph_view import Graph
from mlflow_tfconv.sources.graph.inference_graph import inference_graph
from mlflow_tfconv.sources.graph.stored_averages import chosen_weights
from mlflow_tfconv.sources.options import SourceOptions


def chosen(tmp_path, use_ema, *, averaged=True, name=None):
    """Variable to the key that its value comes from, and the choices."""

    def build():
        dense(features(), 3, "b")
        if averaged:
            average = v1.train.ExponentialMovingAverage(0.9, name=name or "Averaged")
            average.apply(v1.trainable_variables())

    source = source_of(build, tmp_path)
    variables = inference_graph(source, SourceOptions()).variables
    found = chosen_weights(source, Graph.of(source.graph_def), variables, use_ema)
    return {name: found.source.weights[name].key for name in variables}, found.choices


def test_plain_weights_are_taken_and_the_averages_are_told(tmp_path):
    keys, (choice,) = chosen(tmp_path, None)
    assert set(keys) == set(keys.values())
    assert "moving averages of 2 of 2 variables" in choice.alternatives[0]
    assert choice.argument == "use_ema"


def test_averages_are_found_by_what_updates_them_whatever_their_name(tmp_path):
    keys, (choice,) = chosen(tmp_path, True)
    assert keys == {"b/kernel": "b/kernel/Averaged", "b/bias": "b/bias/Averaged"}
    assert choice.alternatives == ("the weights as they were trained",)


def test_the_suffix_of_their_keys_names_them(tmp_path):
    keys, _ = chosen(tmp_path, "Averaged")
    assert keys["b/kernel"] == "b/kernel/Averaged"


def test_where_there_are_none_there_is_no_choice(tmp_path):
    assert chosen(tmp_path, None, averaged=False)[1] == ()


@pytest.mark.parametrize("use_ema", [True, "/other"])
def test_asking_for_averages_that_are_not_there_is_an_error(tmp_path, use_ema):
    with pytest.raises(ConversionError, match="no moving averages"):
        chosen(tmp_path, use_ema, averaged=use_ema is not True)
