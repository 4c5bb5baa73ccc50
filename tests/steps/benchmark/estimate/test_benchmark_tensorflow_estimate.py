"""The estimate for Keras models and SavedModels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mlflow_tfconv as tfconv
from mlflow_tfconv.errors import ConfigError


@pytest.fixture(scope="module")
def keras() -> Any:
    """The library, which takes a while."""
    return pytest.importorskip("keras")


def perceptron(keras: Any, length: int | None = 64) -> Any:
    """x (n, 64) -> 1000 -> Relu -> y (n, 10)."""
    x = keras.Input((length,), name="x")
    hidden = keras.layers.Dense(1000, activation="relu", use_bias=False)(x)
    return keras.Model(x, keras.layers.Dense(10, use_bias=False)(hidden))


def test_a_live_keras_model_is_told_at_each_batch_size(keras: Any) -> None:
    estimate = tfconv.estimate_memory(perceptron(keras), batch_sizes=(1, 32))
    assert estimate.weights_bytes["float32"] == 4 * (64_000 + 10_000)
    assert estimate.activations[32].size_bytes == 32 * 4 * (64 + 1000 + 10)
    assert estimate.complete


def test_a_saved_model_is_the_same(keras: Any, tmp_path: Path) -> None:
    model = perceptron(keras)
    model.export(tmp_path / "saved", verbose=False)
    live = tfconv.estimate_memory(model)
    saved = tfconv.estimate_memory(tmp_path / "saved")
    assert saved.weights_bytes["float32"] == live.weights_bytes["float32"]
    assert saved.activations[32].size_bytes == live.activations[32].size_bytes
    assert saved.largest_batch(2000) == live.largest_batch(2000)


def test_lists_of_tensors_in_a_loop_are_told_as_unknown(keras: Any) -> None:
    x = keras.Input((8, 4), name="x")
    model = keras.Model(x, keras.layers.LSTM(16, unroll=False)(x))
    estimate = tfconv.estimate_memory(model, batch_sizes=(4,))
    assert estimate.activations[4].size_bytes > 0
    assert "At least this much" in str(estimate) or estimate.complete


def test_open_shapes_have_to_be_given(keras: Any) -> None:
    x = keras.Input((None, 4), name="x")
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(x))
    with pytest.raises(ConfigError, match=r"shape of the input 'x'"):
        tfconv.estimate_memory(model)
    assert tfconv.estimate_memory(model, shapes={"x": (6, 4)}).activations[1].size_bytes >= 96
