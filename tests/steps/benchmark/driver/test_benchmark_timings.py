"""Does the machine time the reference as it did?"""

from __future__ import annotations

import numpy as np

from mlflow_tfconv.steps.benchmark.driver.timings import Timings, agrees

RANDOM = np.random.default_rng(0)


def timings(milliseconds: float, spread: float = 0.01) -> Timings:
    turns = RANDOM.normal(milliseconds, spread * milliseconds, (5, 50)) * 1e6
    return Timings(blocks={1: [turn.astype(np.int64) for turn in turns]})


def test_the_same_speed_agrees() -> None:
    assert agrees(timings(10.0), timings(10.0))


def test_within_five_percent_agrees_however_narrow_the_intervals_are() -> None:
    assert agrees(timings(10.4, 0.0001), timings(10.0, 0.0001))


def test_another_speed_does_not_agree() -> None:
    assert not agrees(timings(12.0), timings(10.0))
    assert not agrees(timings(10.0), timings(12.0))


def test_a_batch_size_that_was_not_timed_then_does_not_agree() -> None:
    assert not agrees(timings(10.0), Timings())
