"""Pruning of Keras models while they are fine-tuned."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.steps.compress.config import PruneConfig
from mlflow_tfconv.steps.compress.fine_tuning import training_stream
from mlflow_tfconv.steps.compress.prune_magnitude import Pruned, prune_magnitude


@pytest.fixture
def prune(keras_file: Path, dataset: Dataset, tmp_path: Path) -> Any:
    """Prunes the tiny network, or another file; gives the layers and what was done."""

    def prune(
        sparsity: float = 0.5, source: Path = keras_file, root: Path | None = None, **settings: Any
    ) -> tuple[dict[str, Any], Pruned, list[Any]]:
        config = PruneConfig(**{"sparsity": sparsity, "epochs": 1, "batch_size": 16, **settings})
        reports: list[Any] = []
        done = prune_magnitude(
            source,
            tmp_path / "pruned.keras",
            config,
            stream=training_stream(dataset, config.batch_size, 0, root),
            seed=0,
            recipe_root=root,
            report=lambda *report: reports.append(report),
        )
        model = keras.saving.load_model(tmp_path / "pruned.keras")
        return {layer.name: layer for layer in model.layers}, done, reports

    return prune


def zeros(layer: Any) -> int:
    return int(np.count_nonzero(layer.kernel.numpy() == 0))


@pytest.mark.parametrize("schedule", ["polynomial", "constant"])
def test_every_kernel_has_exactly_the_sparsity(prune: Any, schedule: str) -> None:
    layers, done, _ = prune(0.8, schedule=schedule)
    for name in ("first", "second", "hidden", "classes"):
        size = layers[name].kernel.numpy().size
        assert zeros(layers[name]) == size - round(size * 0.2)
    assert sum(done.zeros.values()) == sum(
        map(zeros, (layers[n] for n in layers if hasattr(layers[n], "kernel")))
    )


def test_biases_and_batch_normalization_are_left_alone(prune: Any) -> None:
    layers, _, _ = prune(0.9)
    assert np.count_nonzero(layers["norm"].gamma.numpy() == 0) == 0
    assert np.count_nonzero(layers["hidden"].bias.numpy() == 0) < 16


def test_layers_are_chosen_by_patterns(prune: Any) -> None:
    layers, done, _ = prune(layers=("first", "hid*", "classes"), exclude=("classes",))
    assert set(done.zeros) == {"first/kernel", "hidden/kernel"}
    assert zeros(layers["second"]) == zeros(layers["classes"]) == 0


def test_a_pattern_without_a_layer_lists_the_layers(prune: Any) -> None:
    with pytest.raises(CompressionError, match="matches none of the layers") as caught:
        prune(layers=("hiden",))
    assert "first, second, hidden, classes" in str(caught.value)
    assert "Did you mean 'hidden'?" in str(caught.value)


def test_excluding_all_layers_is_refused(prune: Any) -> None:
    with pytest.raises(CompressionError, match="leaves none"):
        prune(exclude=("*",))


def test_the_fine_tuning_is_reported_step_by_step(prune: Any) -> None:
    _, done, reports = prune(epochs=2)
    assert [report[:2] for report in reports] == [(n, 12) for n in range(1, 13)]
    assert len(done.history["loss"]) == len(done.history["accuracy"]) == 2


def test_the_fine_tuned_model_still_knows_the_images(prune: Any, images: Any) -> None:
    layers, _, _ = prune(0.5, epochs=2)
    model = keras.Sequential(layers.values())
    assert (model.predict(images[0], verbose=0).argmax(1) == images[1]).mean() > 0.95


def test_pruning_leaves_tf_keras_what_it_was() -> None:
    assert tf.keras.Model is keras.Model
    assert "TF_USE_LEGACY_KERAS" not in os.environ


def test_weights_of_equal_magnitude_are_pruned_exactly_too(prune: Any, tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, kernel_initializer="ones", name="classes"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss)
    model.save(tmp_path / "ties.keras")
    layers, _, _ = prune(0.5, tmp_path / "ties.keras")
    assert zeros(layers["classes"]) == 96


def test_a_model_that_was_not_compiled_can_not_be_fine_tuned(prune: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model.save(tmp_path / "bare.keras")
    with pytest.raises(CompressionError, match="no usable training settings"):
        prune(source=tmp_path / "bare.keras")


def test_an_h5_file_is_fine_tuned_as_well(prune: Any, keras_file: Path, tmp_path: Path) -> None:
    keras.saving.load_model(keras_file).save(tmp_path / "model.h5")
    layers, _, _ = prune(0.5, tmp_path / "model.h5", learning_rate=0.001)
    assert zeros(layers["hidden"]) == 8192


def test_a_fine_tuning_that_diverges_says_so(prune: Any) -> None:
    with pytest.raises(CompressionError, match="diverged"):
        prune(learning_rate=1e30)


def test_the_recipes_own_code_is_used(prune: Any, keras_file: Path, tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps/train.py").write_text(
        "import keras, tensorflow as tf\n"
        "@keras.saving.register_keras_serializable('compress_test')\n"
        "def own_loss(y, p):\n"
        "    return keras.losses.sparse_categorical_crossentropy(y, p)\n"
        "def augment_fn(features, label):\n"
        "    return features * 0.0, label\n"
    )
    from mlflow_tfconv.data.user_code import load_user_module

    own = load_user_module(tmp_path, "steps/train.py")
    model = keras.saving.load_model(keras_file)
    model.compile("sgd", own.own_loss)
    model.save(tmp_path / "own.keras")
    _, done, _ = prune(0.5, tmp_path / "own.keras", root=tmp_path)
    # Black images all look the same, so the network can do no better than guess.
    assert done.history["loss"][0] > 0.5
