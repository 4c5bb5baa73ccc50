from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers

import mlflow_tfconv as tfconv
from mlflow_tfconv.errors import ConfigError, ConversionError, ParityError
from mlflow_tfconv.runtimes.runtime import open_runtime


@keras.saving.register_keras_serializable("convert-tests")
class Restless(layers.Layer):  # type: ignore[misc]
    """Gives other values at each call."""

    def call(self, x: Any) -> Any:
        return x + tf.random.normal(tf.shape(x))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_any_model_becomes_files_that_agree_under_the_same_names(
    any_model: Any, tmp_path: Path
) -> None:
    converted = tfconv.convert(any_model, tmp_path / "out")
    assert {name: report.passed for name, report in converted.parity.items()} == {
        "saved_model": True,
        "onnx": True,
    }
    for path in (converted.saved_model, converted.onnx):
        with open_runtime(path) as runtime:
            assert {s.name for s in runtime.inputs} == {s.name for s in converted.inputs}
            assert {s.name for s in runtime.outputs} == {s.name for s in converted.outputs}
            assert all(s.shape[0] is None for s in (*runtime.inputs, *runtime.outputs))
    assert tfconv.check_parity(converted.source, converted.onnx).passed
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "saved_model",
        "model.onnx",
        "source.keras",
        "examples.npz",
    }


def test_a_saved_model_and_an_h5_file_are_sources_too(cnn_file: Path, tmp_path: Path) -> None:
    first = tfconv.convert(cnn_file, tmp_path / "first")
    keras.saving.load_model(cnn_file).save(tmp_path / "cnn.h5")
    again = tfconv.convert(first.saved_model, tmp_path / "again")
    legacy = tfconv.convert(tmp_path / "cnn.h5", tmp_path / "legacy", formats=["onnx"])
    assert again.inputs == first.inputs
    assert tfconv.check_parity(again.onnx, legacy.onnx).passed
    assert legacy.saved_model is None


def test_a_saved_model_of_tensorflow_1_is_a_source_too(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, 2), name="x")
        weight = tf.compat.v1.get_variable("w", (2, 3), use_resource=False)
        y = tf.nn.relu(tf.matmul(x, weight))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "v1"), {"x": x}, {"y": y})
    converted = tfconv.convert(tmp_path / "v1", tmp_path / "out")
    assert [spec.name for spec in (*converted.inputs, *converted.outputs)] == ["x", "y"]
    assert converted.parity["onnx"].passed
    assert tfconv.inspect_model(tmp_path / "v1").parameters == 6


def test_the_same_model_gives_the_same_bytes(cnn_file: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        tfconv.convert(cnn_file, tmp_path / name)
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    one.pop("saved_model/saved_model.pb"), two.pop("saved_model/saved_model.pb")
    assert one == two  # names of functions in saved_model.pb are numbered by process


def test_a_disagreement_is_an_error_and_leaves_the_former_files(tmp_path: Path) -> None:
    image = keras.Input((4,), name="image")
    output = tmp_path / "out"
    tfconv.convert(keras.Model(image, layers.Dense(2)(image)), output)
    before = files_of(output)
    with pytest.raises(ParityError, match="raise `tolerance`") as caught:
        tfconv.convert(keras.Model(image, Restless()(image)), output, formats=["saved_model"])
    assert not caught.value.report.passed
    assert caught.value.report.max_abs_error > 0
    assert files_of(output) == before
    assert not [path for path in output.iterdir() if path.name.startswith(".")]


def test_strings_stay_in_the_saved_model_and_onnx_says_why_not(tmp_path: Path) -> None:
    word = keras.Input((), dtype="string", name="word")
    model = keras.Model(word, layers.StringLookup(vocabulary=["a", "b"], name="index")(word))
    samples = [{"word": np.array(["a", "z"], dtype=object)}]
    converted = tfconv.convert(model, tmp_path, formats=["saved_model"], samples=samples)
    assert converted.parity["saved_model"].passed
    with pytest.raises(ConversionError, match="works on strings or tables"):
        tfconv.convert(model, tmp_path, samples=samples)


def test_an_operation_without_a_counterpart_is_named(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.ops.erfinv(x))
    with pytest.raises(ConversionError, match="Erfinv"):
        tfconv.convert(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_samples_decide_on_what_is_compared(cnn_file: Path, tmp_path: Path) -> None:
    samples = [{"image": np.ones((3, 8, 8, 1), np.float32)}]
    converted = tfconv.convert(cnn_file, tmp_path / "out", samples=samples)
    assert converted.parity["onnx"].examples == 3
    assert converted.warnings == ()
    assert np.load(tmp_path / "out/examples.npz")["image"].shape == (3, 8, 8, 1)
    single = tfconv.convert(
        cnn_file, tmp_path / "one", samples=np.ones((3, 8, 8, 1)), formats="onnx"
    )
    assert single.parity["onnx"].examples == 3
    assert single.saved_model is None


def test_arguments_that_can_not_be_used_are_told_at_once(cnn_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'onnx'"):
        tfconv.convert(cnn_file, tmp_path / "out", formats=["onx"])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="File exists"):
        tfconv.convert(cnn_file, cnn_file)
    with pytest.raises(ConfigError, match="not a single example"):
        tfconv.convert(cnn_file, tmp_path / "out", samples=[], formats="onnx")
    assert not (tmp_path / "out").exists()


def test_the_opset_is_what_was_asked_for(cnn_file: Path, tmp_path: Path) -> None:
    converted = tfconv.convert(cnn_file, tmp_path / "out", formats=["onnx"], opset=15)
    versions = {o.domain: o.version for o in onnx.load(converted.onnx).opset_import}
    assert versions[""] == 15
    with pytest.raises(ConfigError, match="13 to 18"):
        tfconv.convert(cnn_file, tmp_path / "out", opset=19)


def test_what_is_no_model_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a path nor a Keras 3 model"):
        tfconv.convert(object(), tmp_path / "out")
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ConversionError, match="architecture"):
        tfconv.convert(tmp_path / "m.weights.h5", tmp_path / "out")
