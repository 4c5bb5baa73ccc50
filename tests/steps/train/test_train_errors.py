from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.manifest import open_manifest, write_manifest
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError, DataError, StepError
from mlflow_tfconv.steps import TrainConfig, TrainStep
from mlflow_tfconv.steps.train.config import EarlyStoppingConfig

Make = Callable[..., Path]
Train = Callable[..., object]


@pytest.fixture
def train(dataset: Dataset, workdir: Path) -> Train:
    def run(root: Path | None, source: Dataset = dataset, **config: Any) -> object:
        step = TrainStep(TrainConfig(**{"epochs": 1, "batch_size": 16, **config}))
        return step.run(source, workdir, StepContext(recipe_root=root))

    return run


def changed(recipe: Make, old: str, new: str) -> Path:
    """The recipe with some text of its model exchanged."""
    root = recipe()
    file = root / "steps" / "train.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return root


def test_an_empty_train_split_is_told(
    train: Train, recipe: Make, dataset: Dataset, tmp_path: Path
) -> None:
    manifest = open_manifest(dataset)
    splits = {**manifest.splits, "train": ()}
    path = write_manifest(replace(manifest, splits=splits), tmp_path)
    with pytest.raises(DataError, match=r"the train split is empty(.|\n)*train: 0"):
        train(recipe(), Dataset(manifest=path, digest="", counts={"train": 0}))


def test_a_recipe_is_needed(train: Train) -> None:
    with pytest.raises(ConfigError, match=r"no recipe(.|\n)*StepContext\(recipe_root"):
        train(None)


def test_a_model_fn_without_return_is_told(train: Train, recipe: Make) -> None:
    with pytest.raises(ConfigError, match=r"no model of Keras(.|\n)*None(.|\n)*return model"):
        train(changed(recipe, "    return model", "    pass"))


def test_a_model_that_is_not_compiled_is_told(train: Train, recipe: Make) -> None:
    with pytest.raises(ConfigError, match=r"not compiled(.|\n)*model\.compile\("):
        train(changed(recipe, "    model.compile(", "    (lambda *_, **__: None)("))


def test_a_param_that_model_fn_does_not_know_is_told(train: Train, recipe: Make) -> None:
    with pytest.raises(ConfigError, match=r"dropuot(.|\n)*Did you mean 'dropout'"):
        train(recipe(), params={"dropuot": 0.1})


def test_a_model_with_another_input_shape_is_told(train: Train, recipe: Make) -> None:
    root = changed(recipe, 'spec.inputs["image"].shape', "(5, 5, 1)")
    words = r"does not fit(.|\n)*image \(batch, 4, 4, 1\) float32(.|\n)*\(batch, 5, 5, 1\)"
    with pytest.raises(DataError, match=words):
        train(root)


def test_a_loss_for_another_kind_of_label_is_told(train: Train, recipe: Make) -> None:
    root = changed(recipe, "SparseCategoricalCrossentropy", "CategoricalCrossentropy")
    with pytest.raises(DataError, match=r"kind \(batch\) int64(.|\n)*categorical_crossentropy"):
        train(root)


def test_too_few_outputs_for_the_classes_are_told_before_training(
    train: Train, recipe: Make
) -> None:
    for units, wanted in ((2, 3), (1, 3)):
        root = changed(recipe, "layers.Dense(3)", f"layers.Dense({units})")
        words = rf"too few outputs for the classes of the label 'kind'(.|\n)*Dense\({wanted}\)"
        with pytest.raises(DataError, match=words):
            train(root)


def test_a_failure_of_tensorflow_is_told_in_a_line(train: Train, recipe: Make) -> None:
    root = changed(recipe, "layers.Flatten()", "layers.Flatten(), Late()")
    more = """
import tensorflow as tf

class Late(layers.Layer):
    def call(self, x, training=False):
        if training:
            with tf.control_dependencies([tf.debugging.assert_less(x, -9.0, "too late")]):
                return tf.identity(x)
        return x
"""
    file = root / "steps" / "train.py"
    file.write_text(file.read_text() + more)
    with pytest.raises(StepError, match=r"could not train the model: .*too late") as caught:
        train(root)
    assert "Detected at node" not in str(caught.value)
    assert "Detected at node" in str(caught.value.__cause__)


def test_a_metric_to_monitor_that_is_not_there_is_told_before_training(
    train: Train, recipe: Make
) -> None:
    with pytest.raises(ConfigError, match=r"val_acuracy(.|\n)*Did you mean 'val_accuracy'"):
        train(recipe(), monitor="val_acuracy")
    with pytest.raises(ConfigError, match="monitor: val_f1"):
        train(recipe(), early_stopping=EarlyStoppingConfig(monitor="val_f1"))


def test_a_loss_that_is_no_number_ends_the_training(train: Train, recipe: Make) -> None:
    with pytest.raises(StepError, match=r"epoch 1, batch \d: loss is no longer a number"):
        train(recipe(), params={"rate": float("inf")}, epochs=3)


def test_something_else_than_callbacks_is_told(train: Train, recipe: Make) -> None:
    with pytest.raises(ConfigError, match=r"no callback of Keras 3(.|\n)*builtins\.int"):
        train(recipe("\ndef callbacks_fn():\n    return [3]\n"))


@pytest.mark.parametrize(
    "more",
    [
        "\ndef callbacks_fn():\n    raise LookupError('mine')\n",
        "\ndef prepare_fn(dataset, spec):\n    raise LookupError('mine')\n",
        "\ndef augment_fn(image, kind):\n    raise LookupError('mine')\n",
        """
class Mine(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise LookupError("mine")

def callbacks_fn():
    return [Mine()]
""",
    ],
)
def test_errors_of_the_users_functions_come_through(train: Train, recipe: Make, more: str) -> None:
    with pytest.raises(LookupError, match="mine"):
        train(recipe(more))


def test_an_error_in_a_layer_of_the_users_comes_through(train: Train, recipe: Make) -> None:
    root = changed(recipe, "layers.Flatten()", "Mine()")
    more = (
        "\nclass Mine(layers.Flatten):\n    def call(self, x):\n        raise LookupError('mine')\n"
    )
    file = root / "steps" / "train.py"
    file.write_text(file.read_text() + more)
    with pytest.raises(LookupError, match="mine"):
        train(root)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: TrainConfig(epochs=0), "train.epochs"),
        (lambda: TrainConfig(batch_size=0), "train.batch_size"),
        (lambda: TrainConfig(seed=2**32), "train.seed"),
        (lambda: EarlyStoppingConfig(patience=0), "train.early_stopping.patience"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object], key: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(key)):
        make()
