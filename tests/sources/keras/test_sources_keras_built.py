"""Weights in a model that a function builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.sources.keras.built_model import built_model

X = np.linspace(0, 1, 36, dtype=np.float32).reshape(2, 6, 3)


class Net(tf.Module):
    """A model of plain TensorFlow."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.layers_of_mine = [tf.Variable(tf.ones((3, width)), name="first/kernel")]
        self.bias = tf.Variable(tf.zeros((width,)), name="first/bias")

    def __call__(self, x: Any) -> Any:
        return x @ self.layers_of_mine[0] + self.bias


class Subclassed(keras.Model):
    """A model that only its code describes, of Keras 3."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = keras.layers.SimpleRNN(4)
        self.heads = [keras.layers.Dense(2), keras.layers.Dense(3)]

    def call(self, x: Any) -> Any:
        hidden = self.encoder(x)
        return keras.ops.concatenate([head(hidden) for head in self.heads], axis=-1)


class Subclassed2(tf_keras.Model):
    """The same in Keras 2."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = tf_keras.layers.SimpleRNN(4)
        self.heads = [tf_keras.layers.Dense(2), tf_keras.layers.Dense(3)]

    def call(self, x: Any) -> Any:
        hidden = self.encoder(x)
        return tf.concat([head(hidden) for head in self.heads], axis=-1)


def called(model: Any) -> Any:
    model(X)
    return model


def functional(library: Any) -> Any:
    given = library.Input((6, 3), name="x")
    layers = library.layers
    hidden = layers.BatchNormalization()(layers.Bidirectional(layers.SimpleRNN(3))(given))
    return library.Model(given, layers.Dense(2, name="y")(layers.Dropout(0.5)(hidden)))


def filled(model: Any) -> Any:
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.2, 0.8, w.shape) for w in model.get_weights()])
    return model


def test_a_module_is_filled_from_a_checkpoint_of_objects(tmp_path: Path) -> None:
    net = Net()
    net.bias.assign([3.0, 4.0])
    path = Path(tf.train.Checkpoint(net).write(str(tmp_path / "ckpt")))
    again, warnings = built_model(Net, path)
    assert again.bias.numpy().tolist() == [3.0, 4.0]
    assert warnings == ()


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_a_model_of_either_keras_takes_a_checkpoint_of_keras_2(
    library: Any, tmp_path: Path
) -> None:
    model = filled(functional(tf_keras))
    model.save_weights(str(tmp_path / "ckpt"), save_format="tf")
    again, _ = built_model(lambda: functional(library), tmp_path / "ckpt")
    assert np.allclose(again(X), model(X), atol=1e-6)


def test_a_subclassed_model_is_matched_by_its_attributes(tmp_path: Path) -> None:
    model = filled(called(Subclassed2()))
    model.save_weights(str(tmp_path / "ckpt"), save_format="tf")
    again, _ = built_model(lambda: called(Subclassed()), tmp_path / "ckpt")
    assert np.allclose(again(X), model(X), atol=1e-6)


def test_a_checkpoint_of_keras_3_is_read_too(tmp_path: Path) -> None:
    model = filled(functional(keras))
    path = Path(tf.train.Checkpoint(model=model).save(str(tmp_path / "ckpt")))
    again, _ = built_model(lambda: functional(keras), path)
    assert np.allclose(again(X), model(X), atol=1e-6)


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_hdf5_weights_are_loaded_by_keras(library: Any, tmp_path: Path) -> None:
    model = filled(functional(library))
    model.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.weights.h5").rename(tmp_path / "renamed")
    again, _ = built_model(lambda: functional(library), tmp_path / "renamed")
    assert np.allclose(again(X), model(X), atol=1e-6)


def saver_checkpoint(folder: Path, scope: str = "") -> Path:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        with tf.compat.v1.variable_scope(scope):
            tf.compat.v1.get_variable("first/kernel", initializer=np.full((3, 2), 5, np.float32))
            tf.compat.v1.get_variable("first/bias", initializer=np.full(2, 6, np.float32))
        session.run(tf.compat.v1.global_variables_initializer())
        return Path(tf.compat.v1.train.Saver().save(session, str(folder / "model.ckpt")))


@pytest.mark.parametrize("scope", ["", "net"])
def test_a_checkpoint_of_tensorflow_1_goes_by_names(scope: str, tmp_path: Path) -> None:
    net, _ = built_model(Net, saver_checkpoint(tmp_path, scope))
    assert net.bias.numpy().tolist() == [6.0, 6.0]
    assert net(X).shape == (2, 6, 2)


def test_a_weight_that_does_not_fit_is_named_with_both_shapes(tmp_path: Path) -> None:
    path = Path(tf.train.Checkpoint(Net(width=2)).write(str(tmp_path / "ckpt")))
    with pytest.raises(ConversionError, match=r"has shape \(5,\), bias of the checkpoint \(2,\)"):
        built_model(lambda: Net(width=5), path)


def test_hdf5_weights_of_another_model_are_told(tmp_path: Path) -> None:
    filled(functional(keras)).save_weights(tmp_path / "m.weights.h5")
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ConversionError, match="don't fit the model that was built"):
        built_model(lambda: other, tmp_path / "m.weights.h5")


@pytest.mark.parametrize(
    ("build", "says"),
    [(lambda: 3, "gives no model"), (Subclassed, "gives a model without weights")],
)
def test_a_function_that_gives_no_built_model_is_told(
    build: Any, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        built_model(build, saver_checkpoint(tmp_path))


def test_two_models_that_fit_are_asked_about(tmp_path: Path) -> None:
    both = tf.train.Checkpoint(one=Net(), two=Net())
    path = Path(both.write(str(tmp_path / "ckpt")))
    with pytest.raises(ConversionError, match="holds several models that fit"):
        built_model(Net, path)
