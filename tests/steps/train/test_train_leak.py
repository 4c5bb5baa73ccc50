from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import Message, Metric
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps import TrainConfig, TrainStep
from mlflow_tfconv.steps.train.leak import leak_in
from mlflow_tfconv.steps.train.memory import HostMemory

EPOCHS = np.arange(30)
NOISE = np.random.default_rng(0).normal(size=30)
Make = Callable[..., Path]

LEAKS = """
import numpy as np

class Hoard(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.models = {"all": []}

    def on_epoch_end(self, epoch, logs=None):
        self.models["all"].append(memoryview(np.ones(1_500_000)))

def callbacks_fn():
    return [Hoard()]
"""


@pytest.mark.parametrize(
    "values",
    [
        800 + 2 * NOISE,
        800 + 20 * NOISE,
        800 + 100 * (1 - np.exp(-EPOCHS / 3)) + 0.3 * NOISE,
        800 + np.where(EPOCHS > 15, 40, 0) + 0.3 * NOISE,
        [800 + 10 * epoch for epoch in range(4)],
    ],
    ids=["flat", "noisy", "settling", "one step", "too few epochs"],
)
def test_what_settles_is_no_leak(values: Sequence[float]) -> None:
    assert leak_in(list(values)) is None


@pytest.mark.parametrize("slope", [1.0, 5.0, 50.0])
def test_steady_growth_is_a_leak(slope: float) -> None:
    settling = 100 * (1 - np.exp(-EPOCHS))
    leak = leak_in(list(800 + settling + slope * EPOCHS + 0.5 * NOISE))
    assert leak is not None
    assert leak.mb_per_epoch == pytest.approx(slope, rel=0.15)


def test_a_peak_between_two_looks_is_seen() -> None:
    memory = HostMemory()
    memory.start()
    before = memory.take_peak_mb()
    ballast = np.ones(20_000_000)  # 160 MB
    del ballast
    peak, after = memory.take_peak_mb(), memory.take_peak_mb()
    memory.stop()
    assert before is not None
    assert peak is not None
    assert after is not None
    assert peak - before > 100 > after - before


def test_a_callback_that_hoards_is_told(dataset: Dataset, recipe: Make, workdir: Path) -> None:
    events: list[object] = []
    context = StepContext(recipe_root=recipe(LEAKS), emit=events.append)
    config = TrainConfig(epochs=10, batch_size=64, early_stopping=None)
    result = TrainStep(config).run(dataset, workdir, context)
    warnings = [e.text for e in events if isinstance(e, Message) and e.level == "warning"]
    assert len(warnings) == 1
    assert warnings[0].startswith("Memory leaks: the host's grows by about 12")
    assert any(getattr(part, "text", "").endswith("tf.py_function.") for part in result.card.parts)
    assert not any(name.startswith("training/") for name in result.output.history)


def test_memory_is_logged_every_epoch(dataset: Dataset, recipe: Make, workdir: Path) -> None:
    events: list[object] = []
    context = StepContext(recipe_root=recipe(), emit=events.append)
    TrainStep(TrainConfig(epochs=3, batch_size=64)).run(dataset, workdir, context)
    peaks = [
        (e.step, e.value)
        for e in events
        if isinstance(e, Metric) and e.name == "training/host_peak_mb"
    ]
    assert [step for step, _ in peaks] == [1, 2, 3]
    assert all(value > 100 for _, value in peaks)
    assert not any("leak" in e.text for e in events if isinstance(e, Message))
