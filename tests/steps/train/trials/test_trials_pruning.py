from __future__ import annotations

from mlflow_tfconv.steps.train.trials.pruning import Pruner
from mlflow_tfconv.steps.train.trials_config import PruneConfig

MEDIAN = PruneConfig(method="median", after_epochs=2, after_trials=3)
HALVING = PruneConfig(method="halving", after_epochs=1, after_trials=2, reduction=3)


def test_without_a_config_nothing_is_pruned() -> None:
    assert Pruner(None, "min").reason([9.0], {1: [0.0], 2: [0.0]}) is None


def test_a_trial_below_the_median_is_pruned_but_not_before_its_time() -> None:
    others = {1: [0.5, 0.4], 2: [0.5, 0.3], 3: [0.5, 0.2]}
    pruner = Pruner(MEDIAN, "min")
    assert pruner.reason([0.9], others) is None
    told = pruner.reason([0.9, 0.8], others)
    assert told == "0.8 at best, the median of the others after epoch 2 is 0.3"
    assert pruner.reason([0.9, 0.25], others) is None


def test_the_best_epoch_of_a_trial_counts() -> None:
    others = {1: [0.5, 0.4], 2: [0.5, 0.3], 3: [0.5, 0.2]}
    assert Pruner(MEDIAN, "min").reason([0.1, 0.8], others) is None


def test_a_greater_metric_may_be_better() -> None:
    others = {1: [0.5, 0.6], 2: [0.5, 0.7], 3: [0.5, 0.8]}
    assert Pruner(MEDIAN, "max").reason([0.9, 0.9], others) is None
    assert Pruner(MEDIAN, "max").reason([0.1, 0.2], others) is not None


def test_too_few_others_are_no_comparison() -> None:
    assert Pruner(MEDIAN, "min").reason([0.9, 0.8], {1: [0.1, 0.1], 2: [0.1]}) is None


def test_halving_looks_at_its_rungs_only() -> None:
    others = {n: [n / 10] * 3 for n in range(1, 6)}
    pruner = Pruner(HALVING, "min")
    assert pruner.reason([0.35], others) == (
        "0.35 at best, of 6 trials at epoch 1 the 2 best go on"
    )
    assert pruner.reason([0.15], others) is None
    assert pruner.reason([0.15, 0.9], others) is None
    assert pruner.reason([0.9, 0.9, 0.9], others) is not None


def test_a_metric_that_is_no_number_is_the_worst() -> None:
    nan = float("nan")
    others = {1: [0.5, 0.4], 2: [0.5, nan], 3: [0.5, 0.2]}
    assert Pruner(MEDIAN, "min").reason([nan, nan], others) is not None
    assert Pruner(MEDIAN, "min").reason([0.1, nan], others) is None
    assert Pruner(MEDIAN, "max").best([nan, 0.1]) == 0.1
