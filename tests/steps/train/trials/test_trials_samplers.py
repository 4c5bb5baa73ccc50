from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.trials.direction import direction_of
from mlflow_tfconv.steps.train.trials.samplers import Told, sampler_of
from mlflow_tfconv.steps.train.trials_config import Range, TrialsConfig

SPACE: dict[str, Any] = {"params.dropout": [0.1, 0.3], "batch_size": [32, 64, 128]}
WIDE: dict[str, Any] = {
    "params.rate": Range(low=1e-4, high=0.1, log=True),
    "params.units": Range(low=8, high=4096, log=True),
    "params.kind": ["relu", "gelu"],
}


def proposed(config: TrialsConfig, told: Sequence[Told] = ()) -> list[dict[str, Any]]:
    sampler = sampler_of(config, "min")
    return [sampler.propose(n, told) for n in range(1, sampler.total + 1)]


def test_a_grid_has_every_combination_once() -> None:
    found = proposed(TrialsConfig(space=SPACE))
    assert found[0] == {"params.dropout": 0.1, "batch_size": 32}
    assert found[1] == {"params.dropout": 0.1, "batch_size": 64}
    assert len({tuple(one.values()) for one in found}) == len(found) == 6


def test_of_few_combinations_none_is_drawn_twice() -> None:
    found = proposed(TrialsConfig(space=SPACE, sampler="random", count=50))
    assert len({tuple(one.values()) for one in found}) == len(found) == 6


def test_random_draws_are_the_same_for_the_same_seed() -> None:
    config = TrialsConfig(space=WIDE, sampler="random", count=8, seed=3)
    assert proposed(config) == proposed(config)
    assert proposed(config) != proposed(TrialsConfig(space=WIDE, sampler="random", count=8))
    assert sampler_of(config, "min").propose(5, ()) == proposed(config)[4]


def test_random_draws_keep_to_the_bounds_and_types() -> None:
    for one in proposed(TrialsConfig(space=WIDE, sampler="random", count=100)):
        assert 1e-4 <= one["params.rate"] <= 0.1
        assert isinstance(one["params.units"], int)
        assert 8 <= one["params.units"] <= 4096


def test_ranges_of_billions_are_drawn_from_without_being_listed() -> None:
    space: dict[str, Any] = {"seed": Range(low=0, high=2**32 - 1), "params.x": [1, 2]}
    found = proposed(TrialsConfig(space=space, sampler="random", count=3))
    assert all(0 <= one["seed"] < 2**32 for one in found)


def test_steps_give_the_numbers_that_a_person_would_write() -> None:
    found = Range(low=0.1, high=0.55, step=0.1)
    assert found.numbers() == (0.1, 0.2, 0.3, 0.4, 0.5)


def test_a_range_that_its_steps_do_not_fill_is_no_warning() -> None:
    pytest.importorskip("optuna")
    space: dict[str, Any] = {"params.x": Range(low=0.1, high=0.55, step=0.2)}
    found = proposed(TrialsConfig(space=space, sampler="tpe", count=5))
    assert {round(one["params.x"], 6) for one in found} <= {0.1, 0.3, 0.5}


def test_tpe_goes_on_as_it_would_have() -> None:
    pytest.importorskip("optuna")
    config = TrialsConfig(space=WIDE, sampler="tpe", count=15, seed=1)
    told: list[Told] = []
    for number in range(1, 16):
        values = sampler_of(config, "min").propose(number, told)
        assert values == sampler_of(config, "min").propose(number, told)
        told.append(Told(values=values, score=abs(values["params.rate"] - 0.01), state="done"))
    assert set(told[0].values) == set(WIDE)


def test_tpe_draws_where_it_was_good() -> None:
    pytest.importorskip("optuna")
    space: dict[str, Any] = {"params.x": Range(low=0.0, high=1.0), "params.kind": [["a"], ["b"]]}
    sampler = sampler_of(TrialsConfig(space=space, sampler="tpe", count=40), "max")
    told: list[Told] = []
    for number in range(1, 41):
        values = sampler.propose(number, told)
        score = -abs(values["params.x"] - 0.8) - (values["params.kind"] == ["a"])
        told.append(Told(values=values, score=score, state="done"))
    late = told[20:]
    assert sum(one.values["params.kind"] == ["b"] for one in late) > 14
    assert sum(abs(one.values["params.x"] - 0.8) < 0.2 for one in late) > 10


def test_trials_that_run_fail_or_are_pruned_can_be_told_to_tpe() -> None:
    pytest.importorskip("optuna")
    values = {"params.rate": 0.01, "params.units": 8, "params.kind": "relu"}
    told = [
        Told(values=values, score=None, state="running"),
        Told(values=values, score=None, state="failed"),
        Told(values=values, score=1.0, state="pruned"),
    ]
    config = TrialsConfig(space=WIDE, sampler="tpe")
    assert set(sampler_of(config, "min").propose(4, told)) == set(WIDE)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_loss", "min"),
        ("val_accuracy", "max"),
        ("val_sparse_categorical_accuracy", "max"),
        ("mean_absolute_error", "min"),
        ("val_auc", "max"),
    ],
)
def test_a_metric_tells_what_is_better(metric: str, direction: str) -> None:
    assert direction_of(metric, "auto", "auto") == direction


def test_the_config_tells_it_for_others() -> None:
    assert direction_of("val_odd", "auto", "max") == "max"
    with pytest.raises(ConfigError, match="greater val_odd is better"):
        direction_of("val_odd", "auto", "auto")
