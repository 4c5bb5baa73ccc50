"""What Keras 3 can build, read from its own file or from a SavedModel, in both formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.runtimes.runtime import open_runtime


def largest_difference(source: Path, work: Path, *, onnx: bool = True) -> float:
    """Of the exports' outputs from the source's, relative to the spread of these."""
    traced = traced_from_source(source, device=Device())
    work.mkdir()
    saved_model_from_traced(traced, work / "saved_model")
    if onnx:
        onnx_from_traced(traced, work / "model.onnx", opset=17)
    batch = {spec.name: made_up(spec) for spec in traced.inputs}
    with traced.open_reference() as reference:
        expected = reference.predict(batch)
    worst = 0.0
    for path in sorted(work.iterdir()):
        with open_runtime(path) as runtime:
            found = runtime.predict(batch)
        assert {n: (v.shape, v.dtype) for n, v in found.items()} == {
            n: (v.shape, v.dtype) for n, v in expected.items()
        }
        for name, value in expected.items():
            spread = max(1.0, float(np.std(value)))
            worst = max(worst, float(np.abs(found[name] - value).max()) / spread)
    return worst


def made_up(spec: Any) -> Any:
    generator = np.random.default_rng(3)
    shape = [2, *(5 if size is None else size for size in spec.shape[1:])]
    if spec.dtype == "string":
        return generator.choice(np.array(["a", "b", "zz"], object), shape)
    if "int" in spec.dtype:
        return generator.integers(0, 8, shape).astype(spec.dtype)
    return generator.normal(size=shape).astype(spec.dtype)


class Sum(layers.Layer):  # type: ignore[misc]
    """A loop of TensorFlow over steps, then one of two branches."""

    def call(self, x: Any) -> Any:
        count = tf.shape(x)[1]
        start = [0, tf.zeros_like(x[:, 0])]
        _, total = tf.while_loop(
            lambda n, _: n < count, lambda n, so_far: (n + 1, 0.5 * so_far + x[:, n]), start
        )
        return tf.cond(tf.reduce_sum(total) > 0, lambda: 2 * total, lambda: total - 1)


class Autograph(layers.Layer):  # type: ignore[misc]
    """Python's own `for` and `if`, made into a graph."""

    @tf.function
    def call(self, x: Any) -> Any:
        for _ in tf.range(3):
            if tf.reduce_mean(x) > 0:  # noqa: SIM108 (as people write it)
                x = x - 1
            else:
                x = 2 * x
        return x


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = layers.Dense(4, activation="relu"), layers.Dense(2)
        self.drop = layers.Dropout(0.5)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.last(self.drop(self.first(x), training=training))


def masked() -> Any:
    words = keras.Input((None,), dtype="int32", name="words")
    hidden = layers.Embedding(20, 4, mask_zero=True)(words)
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(hidden)
    return keras.Model(words, layers.Bidirectional(layers.GRU(4))(hidden))


def transformer() -> Any:
    words = keras.Input((None,), dtype="int32", name="words")
    hidden = layers.Embedding(20, 8)(words)
    seen = layers.MultiHeadAttention(2, 4)(hidden, hidden, use_causal_mask=True)
    hidden = layers.LayerNormalization()(hidden + seen)
    wide = ops.gelu(layers.Dense(16)(hidden), approximate=False)
    heads = layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")
    return keras.Model(words, heads(layers.LayerNormalization()(layers.Dense(8)(wide) + hidden)))


def several() -> Any:
    left = keras.Input((4,), name="left")
    right = keras.Input((3,), dtype="int32", name="right")
    hidden = layers.Concatenate()([left, layers.Flatten()(layers.Embedding(10, 2)(right))])
    kinds = layers.Dense(3, activation="softmax", name="kinds")(hidden)
    sizes = {"total": layers.Dense(1)(hidden), "kinds": kinds, "kind": ops.argmax(kinds, -1)}
    return keras.Model({"left": left, "right": right}, sizes)


def images() -> Any:
    image = keras.Input((16, 16, 3), name="image")
    hidden = layers.Resizing(12, 12)(layers.Rescaling(0.5)(image))
    hidden = layers.SeparableConv2D(4, 3, padding="same", dilation_rate=2)(hidden)
    hidden = layers.Conv2D(8, 3, groups=2)(layers.GroupNormalization(2)(hidden))
    hidden = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(hidden)
    return keras.Model(image, layers.UpSampling2D(2, interpolation="bilinear")(hidden))


def with_control_flow() -> Any:
    steps = keras.Input((5, 3), name="steps")
    return keras.Model(steps, [Sum()(steps), Autograph()(steps)])


def subclassed() -> Any:
    model = Subclassed()
    model(np.zeros((1, 3), np.float32))
    return model


BUILDERS = [masked, transformer, several, images, with_control_flow, subclassed]


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_an_exported_saved_model_becomes_both_formats(
    build: Callable[[], Any], tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    build().export(tmp_path / "source", verbose=False)
    assert largest_difference(tmp_path / "source", tmp_path / "out") < 1e-5


def test_text_in_ragged_rows_stays_in_the_saved_model(tmp_path: Path) -> None:
    text = keras.Input((1,), dtype="string", name="text")
    words = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4)(text)
    model = keras.Model(text, layers.Flatten()(layers.Embedding(5, 2)(words)))
    model.export(tmp_path / "source", verbose=False)
    assert largest_difference(tmp_path / "source", tmp_path / "out", onnx=False) == 0


QUICK = ("EfficientNetB0", "MobileNetV3Small")
APPLICATIONS = sorted(
    name
    for name, found in vars(keras.applications).items()
    if name[0].isupper() and callable(found)
)
#: The least image that an architecture takes, where 32 x 32 is too little for it.
LEAST = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}


#: Random weights let values grow by 10^9 there: Keras' own graph then differs from its layers called
#: one by one, and inputs that are one rounding away give something else. Smaller scales mend that.
GROWING = ("EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L")


def application(name: str) -> Any:
    """Random weights, with statistics and biases that are not zero and one."""
    keras.utils.set_random_seed(1)
    size = LEAST.get(name, 32)
    options = {"classes": 10, "classifier_activation": None}
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), **options)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("moving_mean", "beta", "bias")):
            weight.assign(generator.normal(0, 0.1, weight.shape))
        elif weight.path.endswith("moving_variance"):
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith("gamma") and name in GROWING:
            weight.assign(generator.uniform(0.3, 0.6, weight.shape))
    return model


@pytest.mark.parametrize("name", QUICK)
def test_a_few_keras_applications_become_both_formats(name: str, tmp_path: Path) -> None:
    application(name).save(tmp_path / "model.keras")
    assert largest_difference(tmp_path / "model.keras", tmp_path / "out") < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_all_keras_applications_become_both_formats(name: str, tmp_path: Path) -> None:
    application(name).save(tmp_path / "model.keras")
    assert largest_difference(tmp_path / "model.keras", tmp_path / "out") < 1e-4
    again = tmp_path / "out/saved_model"
    assert largest_difference(again, tmp_path / "again") < 1e-4
