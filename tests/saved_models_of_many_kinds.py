"""SavedModels and Keras files as strangers make them; each is made into a folder or file of a name.

`MEASURED` can be measured, `BROKEN` can't, and says so in words that contain the text beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

Make = Callable[[Path], Path]


def double(x: Any) -> dict[str, Any]:
    """Twice the input."""
    return {"y": 2.0 * x}


def exported(
    path: Path, *, spec: Any = None, function: Callable[..., Any] = double, names: Any = None
) -> Path:
    """A SavedModel of a function of one tensor.

    Args:
        path: Its folder.
        spec: The tensor; (n, 4) float32 by default.
        function: Gives {output name: tensor}.
        names: Names of the signatures that it gets; `serving_default` by default, none if empty.
    """
    module = tf.Module()
    spec = spec or tf.TensorSpec((None, 4), tf.float32, "x")
    names = ("serving_default",) if names is None else names
    if names:  # else TensorFlow would make a function that it finds the default
        module.function = tf.function(function, input_signature=[spec])
    signatures = {name: module.function.get_concrete_function() for name in names}
    tf.saved_model.save(module, str(path), signatures=signatures or None)
    return path


def of_type(kind: Any, function: Callable[..., Any] = lambda x: {"y": tf.identity(x)}) -> Make:
    """A SavedModel with an input (n, 4) of a type."""
    return lambda path: exported(path, spec=tf.TensorSpec((None, 4), kind, "x"), function=function)


def without(name: str) -> Make:
    """An ordinary SavedModel with weights that lacks some of its files."""

    def make(path: Path) -> Path:
        small_keras_model().export(path, verbose=False)
        for file in path.glob(name):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        return path

    return make


def small_keras_model(layer: Any = None) -> Any:
    """A functional model of (n, 4)."""
    x = keras.Input((4,), name="x")
    return keras.Model(x, (layer or keras.layers.Dense(3, name="y"))(x), name="small")


class Doubled(keras.layers.Layer):
    """A layer that nobody registered."""

    def call(self, x: Any) -> Any:
        """Twice the input."""
        return 2 * x


def keras_file(path: Path, layer: Any = None) -> Path:
    """A model as a .keras file."""
    file = path.with_suffix(".keras")
    small_keras_model(layer).save(file)
    return file


def cut(path: Path) -> Path:
    """The first half of a .keras file."""
    file = keras_file(path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file


def writing(path: Path) -> Path:
    """A SavedModel that writes a file when it is run."""

    def write(x: Any) -> dict[str, Any]:
        tf.io.write_file("written.txt", "by a model")
        return {"y": x}

    return exported(path, function=write)


def endless(x: Any) -> dict[str, Any]:
    """Adds forever."""
    return {"y": tf.while_loop(lambda y: tf.reduce_all(y > -1), lambda y: (y * 1.0,), (abs(x),))[0]}


def huge(x: Any) -> dict[str, Any]:
    """Asks for 4 PB."""
    return {"y": tf.reduce_max(tf.fill([2**50], tf.reduce_max(x)))[None]}


def logarithm(x: Any) -> dict[str, Any]:
    """NaN for negative numbers."""
    return {"y": tf.math.log(x)}


def several_signatures(path: Path) -> Path:
    """`serving_default` among others."""
    return exported(path, names=("train", "serving_default", "a"))


MEASURED: dict[str, Make] = {
    "plain": exported,
    "several": several_signatures,
    "only_one": lambda path: exported(path, names=("predict",)),
    "bfloat16": of_type(tf.bfloat16),
    "float16": of_type(tf.float16),
    "uint8": of_type(tf.uint8),
    "bool": of_type(tf.bool),
    "complex": of_type(tf.complex64),
    "strings": of_type(tf.string),
    "varying": lambda path: exported(path, spec=tf.TensorSpec((None, None, 4), tf.float32, "x")),
    "scalar_output": of_type(tf.float32, lambda x: {"y": tf.reduce_sum(x)}),
    "empty_output": of_type(tf.float32, lambda x: {"y": x[:, 2:2]}),
    "found": of_type(tf.float32, lambda x: {"y": tf.where(x > 0)}),
    "keras": keras_file,
}

BROKEN: dict[str, tuple[Make, str]] = {
    "two_and_no_default": (lambda path: exported(path, names=("a", "b")), "which signature"),
    "no_signature": (lambda path: exported(path, names=()), "signature"),
    "without_variables": (without("variables"), "not complete"),
    "without_graph": (without("saved_model.pb"), "saved_model.pb"),
    "empty_folder": (without("*"), "saved_model.pb"),
    "writing": (writing, "WriteFile"),
    "huge": (lambda path: exported(path, function=huge), "OOM"),
    "own_layer": (lambda path: keras_file(path, Doubled(name="y")), "custom classes"),
    "cut": (cut, ""),
}

#: Ends only when it is ended.
ENDLESS: Make = lambda path: exported(path, function=endless)  # noqa: E731 (as those above)

#: NaN for negative inputs only.
LOGARITHM: Make = lambda path: exported(path, function=logarithm)  # noqa: E731
