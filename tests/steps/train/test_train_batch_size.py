"""`batch_size: auto`: the largest power of two that fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.device import Device, DeviceOptions
from mlflow_tfconv.engine.events import Event, Message, Param
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import OutOfMemoryError
from mlflow_tfconv.steps import TrainConfig, TrainStep
from mlflow_tfconv.steps.train.batch_size import Measured, tried_up_to

LARGE = """
import keras

def model_fn(spec):
    image = keras.Input(spec.inputs["image"].shape, name="image")
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(4000, activation="relu")(x)
    x = keras.layers.RepeatVector(500)(x)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(4)(x))
    model = keras.Model(image, keras.layers.Dense(3)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
"""


def up_to(limit: int) -> Callable[[int], Measured]:
    """Measures as a device would on which so many examples fit."""

    def measure(size: int) -> Measured:
        if size > limit:
            raise OutOfMemoryError("it used more memory than it may", received=f"{size} MB")
        return Measured(batch_size=size, fits=True)

    return measure


@pytest.mark.parametrize(
    ("limit", "most", "sizes"),
    [
        (1000, 256, [32, 64, 128, 256]),
        (100, 1024, [32, 64, 128]),
        (7, 1024, [32, 16, 8, 4]),
        (32, 1024, [32, 64]),
        (1000, 8, [8]),
        (1, 16, [16, 8, 4, 2, 1]),
    ],
)
def test_it_is_doubled_until_it_does_not_fit(limit: int, most: int, sizes: list[int]) -> None:
    tried = tried_up_to(most, up_to(limit))
    assert [one.batch_size for one in tried] == sizes
    assert all(one.fits == (one.batch_size <= limit) for one in tried)


def test_when_not_even_one_example_fits_it_says_so() -> None:
    with pytest.raises(OutOfMemoryError, match="Not even a batch of one example") as error:
        tried_up_to(64, up_to(0))
    assert "1 MB" in str(error.value)


@pytest.mark.slow
def test_it_is_measured_in_processes_with_a_limit_and_kept(
    dataset: Dataset, recipe: Callable[..., Path], workdir: Path
) -> None:
    # 32 examples take about 500 MB in the forward pass, the processes alone about 800.
    device = Device(options=DeviceOptions(memory_limit_mb=1250))
    root, found = recipe(model=LARGE), []
    for _ in range(2):
        said: list[Event] = []
        context = StepContext(recipe_root=root, device=device, emit=said.append)
        TrainStep(TrainConfig(epochs=1, batch_size="auto")).run(dataset, workdir, context)
        found += [e.value for e in said if isinstance(e, Param) and e.name == "batch_size"]
        texts = [e.text for e in said if isinstance(e, Message)]
        assert "does not fit into 1,250 MB (memory_limit_mb)" in texts[0]
    assert found[0] == found[1]
    assert 1 <= int(found[0] or 0) < 32


@pytest.mark.gpu
def test_on_a_gpu_its_limit_counts(
    dataset: Dataset, recipe: Callable[..., Path], workdir: Path
) -> None:
    device = Device.parse("cuda:0", DeviceOptions(memory_limit_mb=1500))
    said: list[Event] = []
    context = StepContext(recipe_root=recipe(model=LARGE), device=device, emit=said.append)
    TrainStep(TrainConfig(epochs=1, batch_size="auto")).run(dataset, workdir, context)
    texts = [e.text for e in said if isinstance(e, Message)]
    assert texts[0].startswith("batch_size: auto found ")
    assert any("at most 1,500 MB, taken as needed" in text for text in texts)


def test_another_limit_of_the_device_finds_the_batch_size_anew():
    assert TrainStep(TrainConfig(batch_size="auto")).decided_by() == ("device",)
    assert TrainStep(TrainConfig(batch_size=64)).decided_by() == ()
