"""The search for the highest rate."""

from __future__ import annotations

import pytest

from mlflow_tfconv.steps.benchmark.worker.rate_search import Bracket, searched


@pytest.mark.parametrize("truth", [3.0, 95.0, 100.0, 180.0, 40_000.0])
def test_the_highest_rate_is_found_from_any_guess(truth: float) -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= truth

    found = searched(holds, 100.0, least=0.1, precision=0.05)
    assert found.held is not None
    assert found.broke is not None
    assert found.held <= truth < found.broke <= found.held * 1.05
    assert len(tried) < 16


def test_a_good_guess_takes_few_tries() -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= 104

    searched(holds, 100, least=1, precision=0.05)
    assert len(tried) <= 6


def test_where_nothing_holds_it_ends_at_the_least() -> None:
    found = searched(lambda _: False, 100.0, least=2.0, precision=0.05)
    assert found == Bracket(broke=2.0)


def test_what_can_not_be_told_ends_the_search_with_what_is_known() -> None:
    answers = iter([True, None])
    found = searched(lambda _: next(answers), 100.0, least=1.0, precision=0.05)
    assert found == Bracket(held=100.0)
