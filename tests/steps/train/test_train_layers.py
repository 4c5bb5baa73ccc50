from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.frozen import freeze, unfreeze
from mlflow_tfconv.steps.train.layer_paths import layer_paths, longest_match
from mlflow_tfconv.steps.train.layer_rates import use_layer_rates

FEATURES = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
LABEL = (FEATURES[:, 0] > 0).astype("int32")


def nested(library: Any, optimizer: Any) -> Any:
    layers = library.layers
    library.utils.set_random_seed(0)
    backbone = library.Sequential(
        [layers.Dense(8, name="conv1"), layers.BatchNormalization(name="norm")], name="backbone"
    )
    inputs = library.Input((4,))
    output = layers.Dense(2, activation="softmax", name="head")(backbone(inputs))
    model = library.Model(inputs, output)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def moved(model: Any) -> dict[str, float]:
    """How far the kernels move in an epoch."""
    kernels = [weight for weight in model.weights if "kernel" in weight.name]
    before = [weight.numpy() for weight in kernels]
    model.fit(FEATURES, LABEL, batch_size=4, verbose=0)
    after = [weight.numpy() for weight in kernels]
    names = ("conv1", "head")
    return {n: float(abs(a - b).max()) for n, a, b in zip(names, after, before, strict=True)}


@pytest.fixture(params=["keras", "tf_keras"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def test_nested_layers_have_paths() -> None:
    paths = [path for path, _ in layer_paths(nested(keras, "sgd"))]
    assert {"backbone", "backbone/conv1", "backbone/norm", "head"} <= set(paths)


def test_the_longest_pattern_decides() -> None:
    model = nested(keras, "sgd")
    found = longest_match(model, ("conv1", "*", "backbone"))
    by_path = {w.path: found[id(w)] for w in model.weights}
    assert by_path["head/kernel"] == "*"
    assert by_path["backbone/conv1/kernel"] == "backbone"


def test_frozen_layers_keep_weights_and_statistics(library: Any) -> None:
    model = nested(library, "sgd")
    frozen = freeze(model, ("backbone",))
    statistics = model.get_layer("backbone").get_layer("norm").get_weights()
    assert moved(model)["conv1"] == 0 < moved(model)["head"]
    for a, b in zip(statistics, model.get_layer("backbone").layers[-1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "2 layers with 72 of 90 parameters" in frozen.text
    assert "1 of them normalize batches" in frozen.text
    unfreeze(model, frozen)
    assert len(model.trainable_weights) == 6


def test_a_pattern_without_a_layer_is_refused_with_near_names() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'backbone/conv1'") as caught:
        freeze(nested(keras, "sgd"), ("conv*", "backbone/conv2"))
    assert "'backbone/conv2' in train.freeze" in str(caught.value)


def test_everything_frozen_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to train"):
        freeze(nested(keras, "sgd"), ("*",))


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_layers_move_at_their_own_rates(library: Any, optimizer: str) -> None:
    plain = moved(nested(library, getattr(library.optimizers, optimizer)(0.01)))
    model = nested(library, getattr(library.optimizers, optimizer)(0.01))
    use_layer_rates(model, {"backbone": 1e-7}, 0.01)
    slow = moved(model)
    assert slow["conv1"] == pytest.approx(plain["conv1"] * 1e-5, rel=0.5)
    assert slow["head"] == pytest.approx(plain["head"], rel=0.2)


def test_weights_decay_at_the_rate_of_their_layer(library: Any) -> None:
    model = nested(library, library.optimizers.AdamW(0.01, weight_decay=0.5))
    use_layer_rates(model, {"backbone": 1e-8}, 0.01)
    assert moved(model)["conv1"] < 1e-6


def test_the_saved_model_has_a_plain_optimizer(tmp_path: Any) -> None:
    model = nested(keras, keras.optimizers.Adam(0.01))
    use_layer_rates(model, {"backbone": 1e-7}, 0.01)
    moved(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is keras.optimizers.Adam
    assert moved(loaded)["conv1"] > 1e-4


def test_an_optimizer_that_can_t_have_rates_by_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't have learning rates by layer"):
        use_layer_rates(nested(keras, "ftrl"), {"head": 0.1}, 0.01)
