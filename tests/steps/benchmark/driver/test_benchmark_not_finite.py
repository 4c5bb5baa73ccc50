"""Outputs that are no numbers fail a variant, unless the reference has them too."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.driver.not_finite import refuse_not_finite


def told(nan: int = 0, inf: int = 0, minus_inf: int = 0) -> list[dict[str, Any]]:
    counts = {"nan_examples": nan, "inf_examples": inf, "minus_inf_examples": minus_inf}
    return [{"name": "y", "file": "output_0.npy", **counts}]


def test_numbers_pass() -> None:
    refuse_not_finite(told(), None)
    refuse_not_finite(told(), {"outputs": told()})


@pytest.mark.parametrize(("wrong", "word"), [(told(nan=3), "NaN"), (told(inf=3), "infinity")])
def test_a_reference_has_to_give_numbers(wrong: Any, word: str) -> None:
    with pytest.raises(BenchmarkError, match=f"It gives {word} in the output 'y'") as error:
        refuse_not_finite(wrong, None)
    assert error.value.received == f"{word} for 3 examples"


def test_the_logarithm_of_nothing_may_be_given_as_often_as_the_reference_gives_it() -> None:
    refuse_not_finite(told(minus_inf=3), None)
    refuse_not_finite(told(minus_inf=3), {"outputs": told(minus_inf=3)})
    with pytest.raises(BenchmarkError, match="minus infinity"):
        refuse_not_finite(told(minus_inf=4), {"outputs": told(minus_inf=3)})
