from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers

import mlflow_tfconv as tfconv
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.runtimes.runtime import open_runtime


def test_bytes_of_images_with_channels_first_and_half_weights(
    cnn_file: Path, tmp_path: Path
) -> None:
    converted = tfconv.convert(
        cnn_file,
        tmp_path / "out",
        layout="nchw",
        preprocessing={"image": {"scale": 16 / 255, "dtype": "uint8"}},
        precision="float16",
        shapes={"image": (2, 8, 8, 1)},
    )
    image = converted.inputs[0]
    assert (image.name, image.dtype, image.shape) == ("image", "uint8", (2, 1, 8, 8))
    assert {report.allowed for report in converted.parity.values()} == {
        "0.001 + 0.02 x largest |value|"
    }
    assert converted.keras is None  # it takes other images
    said = {choice.what for choice in converted.choices}
    assert said >= {"layout", "preprocessing", "precision"}
    kinds = {tensor.data_type for tensor in onnx.load(converted.onnx).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds


def test_text_is_whole_in_the_saved_model_and_onnx_begins_behind_it(tmp_path: Path) -> None:
    text = keras.Input((), dtype="string", name="text")
    words = layers.TextVectorization(
        output_sequence_length=4, vocabulary=["a", "b", "c"], name="words"
    )
    score = layers.Dense(1, name="score")(layers.Flatten()(layers.Embedding(5, 2)(words(text))))
    keras.Model(text, score).save(tmp_path / "text.keras")
    converted = tfconv.convert(tmp_path / "text.keras", tmp_path / "out")
    assert [spec.name for spec in converted.inputs] == ["text"]
    assert [spec.name for spec in converted.onnx_inputs or ()] == ["words"]
    assert converted.parity.passed
    with open_runtime(converted.onnx) as runtime:
        assert runtime.predict({"words": np.zeros((1, 4), np.int64)})["score"].shape == (1, 1)


def test_a_label_of_keras_is_of_strings_and_its_number_is_in_the_onnx(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    best = keras.ops.argmax(layers.Dense(3)(x), -1)
    label = layers.StringLookup(vocabulary=["a", "b"], invert=True, name="label")(best)
    keras.Model(x, label).save(tmp_path / "label.keras")
    converted = tfconv.convert(tmp_path / "label.keras", tmp_path / "out")
    assert [(spec.name, spec.dtype) for spec in converted.outputs] == [("label", "string")]
    assert [spec.name for spec in converted.onnx_outputs or ()] == ["label_ids"]


@pytest.mark.parametrize(
    "arguments", [{"preprocessing": {"image": {"scal": 2}}}, {"layout": "chw"}, {"tolerance": "x"}]
)
def test_changes_that_are_not_understood_are_refused(
    arguments: dict[str, Any], cnn_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        tfconv.convert(cnn_file, tmp_path / "out", **arguments)
