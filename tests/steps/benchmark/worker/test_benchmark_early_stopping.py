"""LoadGen's rule, by the numbers that LoadGen itself prints."""

from __future__ import annotations

import math

import pytest

from mlflow_tfconv.steps.benchmark.worker.early_stopping import allowed_late, fewest_answers

USUAL = {"quantile": 0.99, "confidence": 0.99}


@pytest.mark.parametrize(("late", "answers"), [(0, 459), (1, 662)])
def test_so_many_answers_show_a_99th_percentile(late: int, answers: int) -> None:
    assert fewest_answers(late, **USUAL) == answers


def test_a_90th_percentile_with_a_late_answer_takes_64() -> None:
    assert fewest_answers(1, quantile=0.9, confidence=0.99) == 64


def test_one_answer_less_shows_nothing() -> None:
    assert allowed_late(458, **USUAL) == -1
    assert allowed_late(459, **USUAL) == 0


def test_of_the_official_270336_queries_a_little_less_than_a_hundredth_may_be_late() -> None:
    assert 2500 < allowed_late(270_336, **USUAL) < 2703


@pytest.mark.parametrize("answers", [30, 200, 1000])
def test_the_rule_is_the_binomial_distribution(answers: int) -> None:
    late = allowed_late(answers, quantile=0.9, confidence=0.95)

    def chance(most: int) -> float:
        return sum(math.comb(answers, k) * 0.1**k * 0.9 ** (answers - k) for k in range(most + 1))

    assert late < 0 or chance(late) <= 0.05
    assert chance(late + 1) > 0.05
