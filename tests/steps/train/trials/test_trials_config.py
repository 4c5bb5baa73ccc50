from __future__ import annotations

from typing import Any

import pytest

from mlflow_tfconv.config.validation import validate
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.callbacks_config import LearningRateConfig
from mlflow_tfconv.steps.train.config import EarlyStoppingConfig, TrainConfig
from mlflow_tfconv.steps.train.dotted_keys import with_values
from mlflow_tfconv.steps.train.trials_config import PruneConfig, Range, TrialsConfig


def read(**trials: Any) -> TrainConfig:
    """As recipe.yaml is read."""
    return validate(TrainConfig, {"trials": trials}, ("steps", "train"), str)


def test_lists_and_ranges_are_read() -> None:
    space = {"params.rate": {"low": 1e-4, "high": 0.1, "log": True}, "batch_size": [16, 32]}
    found = read(space=space, sampler="random", count=7).trials
    assert found is not None
    assert found.space["params.rate"] == Range(low=1e-4, high=0.1, log=True)
    assert found.space["batch_size"] == [16, 32]


def test_bounds_keep_their_type() -> None:
    found = read(space={"params.units": {"low": 8, "high": 32, "step": 8}}).trials
    assert found is not None
    units = found.space["params.units"]
    assert isinstance(units, Range)
    assert units.numbers() == (8, 16, 24, 32)
    assert all(isinstance(n, int) for n in units.numbers() or ())


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("batchsize", "Did you mean 'batch_size'"),
        ("early_stopping.patient", "Did you mean 'early_stopping.patience'"),
        ("trials.count", "no key of train"),
        ("params", "params.<name>"),
        ("epochs.first", "epochs without more"),
    ],
)
def test_a_key_that_is_none_is_refused_with_the_nearest(key: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(space={key: [1, 2]})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ({"space": {}}, "nothing is to be tried"),
        ({"space": {"batch_size": []}}, "there is no value"),
        ({"space": {"params.x": {"low": 2, "high": 1}}}, "low < high"),
        ({"space": {"params.x": {"low": 0, "high": 1, "log": True}}}, "low > 0"),
        ({"space": {"params.x": {"low": 0.0, "high": 1.0}}}, "can't try all numbers"),
        ({"space": {"seed": [1, 2]}, "count": 1}, "tried whole"),
        ({"space": {"seed": {"low": 0, "high": 10**9}}}, "too many trials"),
        ({"space": {"seed": [1, 2]}, "parallel": 0}, "out of range"),
        ({"space": {"seed": [1, 2]}, "sampler": "gird"}, "Did you mean 'grid'"),
        ({"space": {"seed": [1, 2]}, "prun": {}}, "Did you mean 'prune'"),
        ({"space": {"seed": [1, 2]}, "prune": {"reduction": 1}}, "at least 2"),
        ({"space": {"params.x": {"lo": 1, "high": 2}}}, "low"),
    ],
)
def test_what_can_not_be_meant_is_refused(trials: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(**trials)
    assert said in str(error.value)


def test_values_get_to_their_places() -> None:
    config = TrainConfig(params={"units": 8}, early_stopping=None)
    values = {"params.dropout": 0.1, "batch_size": 64, "early_stopping.patience": 3}
    found = with_values(config, values)
    assert found.params == {"units": 8, "dropout": 0.1}
    assert found.batch_size == 64
    assert found.early_stopping == EarlyStoppingConfig(patience=3)
    assert config.params == {"units": 8}


def test_whole_sections_and_short_forms_can_be_tried() -> None:
    space = {"learning_rate": [0.1, {"initial": 0.2}], "early_stopping": [None, {"patience": 3}]}
    assert read(space=space).trials is not None
    config = TrainConfig(learning_rate=0.5)
    assert with_values(config, {"learning_rate": 0.1}).learning_rate == 0.1
    for key, value in {"learning_rate": {"initial": 0.2}, "learning_rate.initial": 0.2}.items():
        assert with_values(config, {key: value}).learning_rate == LearningRateConfig(initial=0.2)
    assert with_values(config, {"early_stopping": None}).early_stopping is None
    assert with_values(config, {"freeze": ["conv*"]}).freeze == ("conv*",)


def test_a_section_with_a_wrong_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't be tried"):
        with_values(TrainConfig(), {"early_stopping": {"patient": 3}})


def test_a_value_that_the_config_refuses_is_an_error() -> None:
    with pytest.raises(ConfigError, match="epochs is out of range"):
        with_values(TrainConfig(), {"epochs": 0})


def test_defaults_are_a_grid_one_at_a_time() -> None:
    config = TrialsConfig(space={"seed": [1, 2]}, prune=PruneConfig())
    assert (config.sampler, config.parallel, config.count) == ("grid", 1, None)
