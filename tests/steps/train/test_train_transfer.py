"""Training on from models of all ages; the files are genuine, see fixtures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.steps import (
    ConvertConfig,
    ConvertStep,
    IngestConfig,
    IngestStep,
    TrainConfig,
    TrainStep,
)
from mlflow_tfconv.steps.train.start_from import base_model
from mlflow_tfconv.steps.train.transfer_config import CompileConfig, StartFromConfig

FIXTURES = Path(__file__).parents[2] / "fixtures"
KERAS1 = FIXTURES / "legacy" / "k14_keras122_theano_th_cnn" / "model.h5"
COMPILE = CompileConfig(loss="sparse_categorical_crossentropy", metrics=("accuracy",))

IMAGES = """
import numpy as np

def load_examples():
    draw = np.random.default_rng(0)
    for number in range(40):
        kind = number % 4
        yield {"image": draw.normal(kind, 1, (3, 16, 12)).astype("float32"), "kind": np.int64(kind)}
"""
HEAD = """
import keras

def model_fn(spec, base, units=4):
    inputs = keras.Input(spec.inputs["image"].shape)
    base.name = "backbone"
    model = keras.Model(inputs, keras.layers.Dense(units, name="head")(base(inputs)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.001), loss=loss)
    return model
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """40 examples of four kinds, 3x16x12."""
    root = tmp_path_factory.mktemp("images")
    (root / "steps").mkdir()
    (root / "out").mkdir()
    (root / "steps" / "ingest.py").write_text(IMAGES)
    config = IngestConfig(using="custom", label="kind", split_ratios=(0.6, 0.2, 0.2))
    return IngestStep(config).run(None, root / "out", StepContext(recipe_root=root)).output


@pytest.fixture
def recipe_with_base(tmp_path: Path) -> Callable[[str | None], Path]:
    """Makes a recipe beside whose steps lies old.h5, of Keras 1.2.2 on Theano."""

    def make(code: str | None = None) -> Path:
        root = tmp_path / "recipe"
        (root / "steps").mkdir(parents=True)
        shutil.copy(KERAS1, root / "old.h5")
        if code is not None:
            (root / "steps" / "train.py").write_text(code)
        return root

    return make


def trained(config: TrainConfig, data: Dataset, root: Path, workdir: Path) -> tuple[Any, list[str]]:
    events: list[object] = []
    context = StepContext(recipe_root=root, emit=events.append)
    result = TrainStep(config).run(data, workdir, context)
    return result.output, [event.text for event in events if isinstance(event, Message)]


@pytest.mark.slow
def test_a_model_of_keras_1_is_trained_on_and_converted(
    images: Dataset, recipe_with_base: Any, workdir: Path, tmp_path: Path
) -> None:
    root = recipe_with_base()
    start = StartFromConfig(path="old.h5", original_backend="theano")
    config = TrainConfig(epochs=2, start_from=start, compile=COMPILE, freeze=("conv*",))
    checkpoint, said = trained(config, images, root, workdir)
    assert "Frozen: 2 layers with 896 of 2,944 parameters." in said
    old, new = base_model(start, root).model, keras.saving.load_model(checkpoint.path)
    for name, kept in (("conv1_1", True), ("convolution2d_1", True), ("dense_2", False)):
        before, after = old.get_layer(name).get_weights(), new.get_layer(name).get_weights()
        same = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert same is kept, name
    (tmp_path / "converted").mkdir()
    convert = ConvertStep(ConvertConfig(formats=("onnx",)))
    converted = convert.run(checkpoint, tmp_path / "converted", StepContext(dataset=images)).output
    assert converted.parity.passed


def test_model_fn_puts_a_head_on_a_base_that_is_thawed_later(
    images: Dataset, recipe_with_base: Any, workdir: Path
) -> None:
    start = StartFromConfig(path="old.h5", original_backend="theano", outputs=("flatten_1",))
    config = TrainConfig(
        epochs=2,
        start_from=start,
        freeze=("backbone",),
        unfreeze_after=1,
        learning_rates={"backbone/*": 1e-5},
    )
    root = recipe_with_base(HEAD)
    checkpoint, said = trained(config, images, root, workdir)
    assert "From epoch 2 on the frozen layers are trained, too." in said
    old, new = base_model(start, root).model, keras.saving.load_model(checkpoint.path)
    before = old.get_layer("conv1_1").get_weights()[0]
    after = new.get_layer("backbone").get_layer("conv1_1").get_weights()[0]
    assert 0 < abs(after - before).max() < 1e-4


@pytest.mark.parametrize(
    ("start", "parameters"),
    [
        ({"path": "keras_old/keras224_frozen2.h5"}, 0),
        ({"path": "legacy/k15_tfkeras23_h5/model.h5"}, 3568),
        ({"path": "legacy/k15_tfkeras23_tfckpt_json"}, 1341),
        (
            {
                "path": "keras_old/keras224_frozen2_w.h5",
                "architecture": "keras_old/keras224_frozen2.json",
            },
            0,
        ),
    ],
    ids=["keras 2", "tf.keras", "checkpoint beside its JSON", "weights and JSON"],
)
def test_what_convert_reads_into_keras_can_be_started_from(
    start: dict[str, str], parameters: int
) -> None:
    model = base_model(StartFromConfig(**start), FIXTURES).model
    assert isinstance(model, keras.Model)
    assert parameters in (0, model.count_params())


def test_a_graph_can_t_be_started_from_and_it_says_what_can() -> None:
    with pytest.raises(ConversionError, match="graph without layers") as caught:
        base_model(StartFromConfig(path="legacy/k08_tf1_frozen_cnn/frozen_model.pb"), FIXTURES)
    assert "convert: {source: PATH}" in str(caught.value)


def test_weights_are_not_downloaded() -> None:
    with pytest.raises(ConfigError, match="not downloaded while training"):
        base_model(StartFromConfig(path="MobileNetV2"), FIXTURES)


def test_a_missing_file_is_told_with_its_neighbours() -> None:
    with pytest.raises(ConfigError, match="not there") as caught:
        base_model(StartFromConfig(path="legacy/k15_tfkeras23_h5/modell.h5"), FIXTURES)
    assert "model.h5" in str(caught.value)


def test_the_files_to_start_from_decide_a_re_run() -> None:
    start = StartFromConfig(path="a.json", weights="b.h5", architecture="steps/train.py:build")
    step = TrainStep(TrainConfig(start_from=start))
    assert step.inputs() == (Path("a.json"), Path("b.h5"))
    assert step.needed_functions() == {"steps/train.py": ("model_fn", "build")}
    alone = TrainStep(TrainConfig(start_from="a.keras", compile=COMPILE))
    assert (alone.inputs(), alone.needed_functions()) == ((Path("a.keras"),), {})


def test_compile_needs_a_model_to_start_from() -> None:
    with pytest.raises(ConfigError, match="needs a model to compile"):
        TrainConfig(compile=COMPILE)


def test_compile_and_model_fn_are_one_too_many(
    images: Dataset, recipe_with_base: Any, workdir: Path
) -> None:
    config = TrainConfig(start_from="old.h5", compile=COMPILE)
    with pytest.raises(ConfigError, match="two who would compile"):
        trained(config, images, recipe_with_base(HEAD), workdir)


def test_a_name_that_keras_does_not_know_is_told_with_near_ones(
    images: Dataset, recipe_with_base: Any, workdir: Path
) -> None:
    config = TrainConfig(start_from="old.h5", compile=CompileConfig(loss="sparse_crossentropy"))
    with pytest.raises(ConfigError, match="sparse_categorical_crossentropy"):
        trained(config, images, recipe_with_base(), workdir)
