from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps import TrainConfig, TrainStep
from mlflow_tfconv.steps.train.callbacks_config import LearningRateConfig, PlateauConfig
from mlflow_tfconv.steps.train.learning_rate import Course, rate_of, set_rate

Make = Callable[..., Path]


def course(epochs: int = 10, tick: float = 0.1, **config: Any) -> Course:
    return Course(config=LearningRateConfig(**config), initial=1.0, epochs=epochs, tick=tick)


@pytest.mark.parametrize(
    ("config", "rates"),
    [
        ({"schedule": "cosine", "final": 0.2}, {0: 1.0, 5: 0.6, 10: 0.2}),
        ({"schedule": "warmup_cosine"}, {0: 0.1, 0.5: 0.6, 1: 1.0, 10: 0.0}),
        ({"schedule": "exponential", "factor": 0.5, "every": 2.0}, {0: 1.0, 1: 0.5**0.5, 4: 0.25}),
        ({"schedule": "step", "at": (3.0, 6.0)}, {2.9: 1.0, 3: 0.1, 5.9: 0.1, 6: 0.01}),
        ({"schedule": "step", "every": 4.0, "factor": 0.5}, {3.9: 1.0, 4: 0.5, 8: 0.25}),
        ({"schedule": "polynomial", "power": 2.0}, {0: 1.0, 5: 0.25, 10: 0.0}),
        ({"schedule": "one_cycle", "divide": 10.0}, {0: 0.1, 3: 1.0, 10: 0.0}),
        ({"schedule": "constant", "warmup_epochs": 2.0}, {0: 0.05, 1: 0.55, 2: 1.0, 9: 1.0}),
    ],
)
def test_a_schedule_gives_the_rate_of_every_step(
    config: dict[str, Any], rates: dict[float, float]
) -> None:
    found = {done: course(**config).rate(done) for done in rates}
    assert found == pytest.approx(rates)


def test_a_key_that_its_schedule_does_not_use_is_refused() -> None:
    with pytest.raises(ConfigError, match="power means nothing to the schedule 'cosine'"):
        LearningRateConfig(schedule="cosine", power=2.0)


def test_a_schedule_and_a_plateau_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="would overwrite each other"):
        TrainConfig(
            learning_rate=LearningRateConfig(schedule="cosine"), reduce_on_plateau=PlateauConfig()
        )


def test_a_schedule_of_the_users_own_is_not_overwritten() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.5, 10)))
    assert rate_of(model) == 0.5
    with pytest.raises(ConfigError, match="can't be set"):
        set_rate(model, 0.1)


def test_the_rate_follows_the_schedule_and_is_logged_every_epoch(
    dataset: Dataset, recipe: Make, workdir: Path
) -> None:
    rate = LearningRateConfig(schedule="step", initial=0.01, at=(1.0,), factor=0.5)
    config = TrainConfig(epochs=2, batch_size=16, learning_rate=rate)
    result = TrainStep(config).run(dataset, workdir, StepContext(recipe_root=recipe()))
    assert result.output.history["learning_rate"] == pytest.approx((0.01, 0.005))


STOPS = """
class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if os.environ.get("STOP") and self.model.optimizer.iterations == 9:
            raise RuntimeError("stopped")

def callbacks_fn():
    return [Stop()]
"""


@pytest.mark.slow
def test_rates_and_thawing_go_on_after_a_stop_as_if_nothing_had_happened(
    dataset: Dataset, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(
        epochs=4,
        batch_size=16,
        learning_rate=LearningRateConfig(schedule="one_cycle"),
        learning_rates={"dense": 0.001},
        freeze=("dense",),
        unfreeze_after=1,
    )
    context = StepContext(recipe_root=recipe(f"import os\n{STOPS}"))
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    straight.mkdir()
    stopped.mkdir()
    expected = TrainStep(config).run(dataset, straight, context).output.history
    monkeypatch.setenv("STOP", "1")
    with pytest.raises(RuntimeError, match="stopped"):
        TrainStep(config).run(dataset, stopped, context)
    monkeypatch.delenv("STOP")
    found = TrainStep(config).run(dataset, stopped, context).output.history
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-4, abs=1e-5), name


def test_a_plateau_lowers_the_rate(dataset: Dataset, recipe: Make, workdir: Path) -> None:
    plateau = PlateauConfig(patience=1, factor=0.5, min_delta=1e6)
    config = TrainConfig(
        epochs=3, batch_size=32, learning_rate=0.02, reduce_on_plateau=plateau, early_stopping=None
    )
    result = TrainStep(config).run(dataset, workdir, StepContext(recipe_root=recipe()))
    assert result.output.history["learning_rate"] == pytest.approx((0.02, 0.02, 0.01))
