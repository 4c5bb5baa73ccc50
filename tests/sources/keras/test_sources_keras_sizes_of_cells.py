from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.build_model import BuiltModel, build_model
from mlflow_tfconv.sources.keras.dialect import Origin
from mlflow_tfconv.sources.options import SourceOptions

Shapes = tuple[tuple[int, ...], ...]


def with_cells(shapes: Shapes, *cells: str, **said: Any) -> BuiltModel:
    stacked = [{"class_name": name, "config": {"name": name.lower(), **said}} for name in cells]
    cell = {"class_name": "StackedRNNCells", "config": {"name": "stack", "cells": stacked}}
    inner = {"name": "rnn_1", "batch_input_shape": [None, 5, 3], "cell": cell}
    written = {"class_name": "Sequential", "config": [{"class_name": "RNN", "config": inner}]}
    origin = Origin(version="2.0.9")
    return build_model(written, SourceOptions(), origin=origin, stored={"rnn_1": shapes})


def test_weights_tell_the_units_of_cells_and_whether_they_have_a_bias() -> None:
    shapes = ((3, 16), (4, 16), (16,), (4, 6), (2, 6))
    built = with_cells(shapes, "LSTMCell", "GRUCell")
    lstm, gru = built.model.layers[-1].cell.cells
    assert (lstm.units, lstm.use_bias, gru.units, gru.use_bias) == (4, True, 2, False)
    assert any("default ones" in warning for warning in built.around.warnings)


@pytest.mark.parametrize(
    "shapes",
    [(), ((3, 16), (4, 16), (16,)), ((3, 16), (4, 16), (5, 6), (2, 6)), ((3, 12), (4, 12))],
    ids=["none", "too_few", "not_a_chain", "other_gates"],
)
def test_weights_that_do_not_tell_the_units_are_refused(shapes: Shapes) -> None:
    with pytest.raises(ConversionError, match=r"'rnn_1'.*how many units its cells \(LSTMCell, GRU"):
        with_cells(shapes, "LSTMCell", "GRUCell")


def test_cells_that_say_their_units_are_left_alone() -> None:
    assert not with_cells((), "LSTMCell", units=4, activation="tanh").around.warnings
