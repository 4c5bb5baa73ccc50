from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.config.trial_values import check_trial_values
from mlflow_tfconv.config.validation import validate
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.config import TrainConfig


def check(space: dict[str, Any], **section: Any) -> None:
    section = {**section, "trials": {"space": space, "sampler": "random"}}
    config = validate(TrainConfig, section, ("steps", "train"), str)
    assert config.trials is not None
    check_trial_values(config.trials, section, lambda at: "recipe.yaml, line 3")


def test_values_that_the_keys_could_have_are_fine() -> None:
    space = {
        "batch_size": [32, "auto"],
        "params.units": {"low": 8, "high": 64},
        "early_stopping.patience": [2, 5],
    }
    check(space, early_stopping=None, epochs=3)


@pytest.mark.parametrize(
    ("space", "place"),
    [
        ({"batch_size": [32, "big"]}, "space.batch_size[1]"),
        ({"epochs": [0]}, "space.epochs[0]"),
        ({"epochs": {"low": 1.5, "high": 3.5}}, "space.epochs.low"),
        ({"shuffle": ["yes"]}, "space.shuffle[0]"),
    ],
)
def test_another_value_is_refused_with_its_place(space: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(space)
    assert "recipe.yaml, line 3" in str(error.value)
    assert f"{place} can't be tried" in str(error.value)
