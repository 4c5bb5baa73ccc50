from __future__ import annotations

from mlflow_tfconv.steps.train.pace import Pace


def test_the_pace_counts_from_where_it_was_first_told() -> None:
    pace = Pace(epochs=10, examples=1000)
    assert pace.words(2.0, 50.0) == ""  # a training that goes on
    assert pace.words(2.0001, 50.1) == ""  # too early to tell
    assert pace.words(4.0, 54.0) == "500 examples/s, 12 s left"
    assert pace.words(10.0, 66.0) == "500 examples/s, 0.0 s left"
