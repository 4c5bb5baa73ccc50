from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from traced_formula import Shape, answers, traced_formula

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.made_up_batches import made_up_batches
from mlflow_tfconv.exporters.numeric_part import OnnxPart, onnx_part
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.comparison import Comparison
from mlflow_tfconv.runtimes.keras_runtime import KerasRuntime
from mlflow_tfconv.runtimes.runtime import open_runtime

TEXT: dict[str, tuple[str, Shape]] = {"text": ("string", (None,))}
JPEG = tf.io.encode_jpeg(np.arange(72, dtype=np.uint8).reshape(4, 6, 3)).numpy()


@pytest.fixture(scope="module")
def table() -> Any:
    """a is 1, b is 2, all else 0."""
    pairs = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64))
    return tf.lookup.StaticHashTable(pairs, 0)


@pytest.fixture(scope="module")
def weight() -> Any:
    return tf.Variable(np.arange(32, dtype=np.float32).reshape(8, 4))


def strings(*values: Any) -> Any:
    return np.array(values, dtype=object)


def agrees(traced: Traced, part: OnnxPart, batch: dict[str, Any], folder: Path) -> None:
    """The ONNX of the part gives what the whole model gives."""
    assert part.translate is not None
    onnx_from_traced(part.traced, folder / "m.onnx", opset=17)
    taken, expected = part.translate(batch, answers(traced, batch))
    comparison = Comparison()
    with open_runtime(folder / "m.onnx") as runtime:
        assert comparison.add(taken, expected, runtime), comparison.problem
    assert comparison.report(Path("a"), Path("b"), "").passed


def inputs_of(part: OnnxPart) -> list[tuple[str, str, Shape]]:
    return [(spec.name, spec.dtype, spec.shape) for spec in part.traced.inputs]


def traced_keras(model: Any) -> Traced:
    reference = KerasRuntime(Path("m"), model=model, traced=False, device=Device())
    function = trace_function(reference.call, reference.inputs)
    return Traced(
        function=function,
        module=module_of(function, model),
        inputs=reference.inputs,
        outputs=reference.outputs,
        open_reference=lambda: reference,
        parameters=0,
        model=model,
    )


def test_a_model_of_numbers_is_left_whole(weight: Any) -> None:
    traced = traced_formula(lambda t: {"y": t["x"] @ weight}, {"x": ("float32", (None, 8))})
    assert onnx_part(traced) == OnnxPart(traced=traced)


def test_text_is_cut_where_it_has_become_one_matrix_named_like_the_layer(tmp_path: Path) -> None:
    text = keras.Input((), dtype="string", name="text")
    words = layers.TextVectorization(
        output_sequence_length=6, vocabulary=["a", "b", "c"], name="words"
    )
    model = keras.Model(text, layers.Dense(2)(layers.Embedding(5, 2)(words(text))[:, 0]))
    traced = traced_keras(model)
    part = onnx_part(traced)
    assert inputs_of(part) == [("words", "int64", (None, 6))]
    agrees(traced, part, {"text": strings("a b", "c a a")}, tmp_path)
    assert "StringSplitV2" in part.choices[0].reason
    assert "'text'" in part.choices[0].reason


def test_each_column_of_words_becomes_an_input_beside_the_numbers(
    table: Any, weight: Any, tmp_path: Path
) -> None:
    def call(t: Any) -> Any:
        found = [tf.gather(weight, table.lookup(t[name])) for name in ("colour", "form")]
        return {"y": tf.concat([*found, t["x"]], 1)}

    columns: dict[str, tuple[str, Shape]] = {
        "colour": ("string", (None,)),
        "form": ("string", (None,)),
        "x": ("float32", (None, 3)),
    }
    traced = traced_formula(call, columns)
    part = onnx_part(traced)
    assert [name for name, _, _ in inputs_of(part)] == [
        "x",
        "None_Lookup_LookupTableFindV2",
        "None_Lookup_1_LookupTableFindV2",
    ]
    batch = {"colour": strings("a"), "form": strings("z"), "x": np.ones((1, 3), np.float32)}
    agrees(traced, part, batch, tmp_path)


def test_an_image_is_cut_behind_its_decoder_and_later_places_are_told(
    weight: Any, tmp_path: Path
) -> None:
    def call(t: Any) -> Any:
        image = tf.cast(tf.io.decode_jpeg(t["jpeg"], channels=3), tf.float32)
        small = tf.image.resize(tf.expand_dims(image, 0), [2, 4])
        return {"y": tf.matmul(tf.reshape((small - 127.0) / 127.0, [-1, 8]), weight)}

    traced = traced_formula(call, {"jpeg": ("string", ())})
    part = onnx_part(traced)
    assert inputs_of(part) == [("DecodeJpeg", "uint8", (None, None, 3))]
    assert {"Cast", "truediv"} <= set(part.choices[0].alternatives)
    assert part.choices[0].argument == "inputs"
    agrees(traced, part, {"jpeg": np.array(JPEG, object)}, tmp_path)


def test_images_decoded_in_a_loop_are_cut_behind_the_loop(weight: Any, tmp_path: Path) -> None:
    def one(jpeg: Any) -> Any:
        return tf.image.resize(tf.io.decode_jpeg(jpeg, channels=3), [2, 4]) / 255.0

    def call(t: Any) -> Any:
        images = tf.map_fn(one, t["jpeg"], fn_output_signature=tf.float32)
        return {"y": tf.matmul(tf.reshape(images, [-1, 8]), weight)}

    traced = traced_formula(call, {"jpeg": ("string", (None,))})
    part = onnx_part(traced)
    assert [(dtype, shape) for _, dtype, shape in inputs_of(part)] == [("float32", (None, 2, 4, 3))]
    agrees(traced, part, {"jpeg": strings(JPEG, JPEG)}, tmp_path)


def test_ragged_values_and_their_places_are_inputs_together(
    table: Any, weight: Any, tmp_path: Path
) -> None:
    def call(t: Any) -> Any:
        words = tf.strings.split(t["text"])
        rows = tf.ragged.map_flat_values(lambda w: tf.gather(weight, table.lookup(w)), words)
        return {"y": tf.reduce_mean(rows, 1)}

    traced = traced_formula(call, TEXT)
    part = onnx_part(traced)
    assert len(part.traced.inputs) == 2
    agrees(traced, part, {"text": strings("a b", "x")}, tmp_path)


def test_the_number_of_strings_is_told_from_what_is_left(
    table: Any, weight: Any, tmp_path: Path
) -> None:
    def call(t: Any) -> Any:
        state = tf.zeros([tf.shape(t["text"])[0], 4])
        return {"y": state + tf.gather(weight, table.lookup(t["text"]))}

    traced = traced_formula(call, TEXT)
    part = onnx_part(traced)
    assert [(dtype, shape) for _, dtype, shape in inputs_of(part)] == [("int64", (None,))]
    agrees(traced, part, {"text": strings("a", "b", "z")}, tmp_path)


def test_features_of_serialized_examples_are_inputs_under_their_names(
    weight: Any, tmp_path: Path
) -> None:
    def call(t: Any) -> Any:
        features = {
            "pixels": tf.io.FixedLenFeature([8], tf.float32),
            "shift": tf.io.FixedLenFeature([], tf.int64),
            "words": tf.io.VarLenFeature(tf.string),
        }
        found = tf.io.parse_example(t["example"], features)
        return {"y": found["pixels"] @ weight + tf.cast(found["shift"], tf.float32)[:, None]}

    traced = traced_formula(call, {"example": ("string", (None,))})
    part = onnx_part(traced)
    assert sorted(inputs_of(part)) == [
        ("pixels", "float32", (None, 8)),
        ("shift", "int64", (None,)),
    ]
    agrees(traced, part, next(made_up_batches(traced)), tmp_path)


def test_a_tensor_of_unknown_rank_is_tried(tmp_path: Path) -> None:
    text = keras.Input((1,), dtype="string", name="text")
    counts = layers.TextVectorization(
        output_mode="tf_idf", vocabulary=["a", "b"], idf_weights=[0.5, 2.0], name="counts"
    )
    traced = traced_keras(keras.Model(text, layers.Dense(2)(counts(text))))
    part = onnx_part(traced)
    assert [len(shape) for _, _, shape in inputs_of(part)] == [2]
    agrees(traced, part, {"text": strings(["a b a"], ["c"])}, tmp_path)


def test_numbers_that_a_layer_holds_are_no_reason_to_cut(weight: Any) -> None:
    mean = tf.constant([[1.0] * 8])
    words: Any = {"x": ("float32", (None, 8)), "text": ("string", (None,))}
    traced = traced_formula(
        lambda t: {"y": (t["x"] - mean) @ weight, "n": tf.strings.length(t["text"]) * 2}, words
    )
    assert [name for name, _, _ in inputs_of(onnx_part(traced))] == ["x", "StringLength"]


def test_a_label_leaves_the_number_that_it_is_looked_up_with(weight: Any, tmp_path: Path) -> None:
    def call(t: Any) -> Any:
        scores = t["x"] @ weight
        best = tf.argmax(scores, -1)
        names = tf.tile(tf.constant([["a", "b"]]), [tf.shape(scores)[0], 1])
        return {"label": tf.gather(["p", "q", "r", "s"], best), "scores": scores, "names": names}

    traced = traced_formula(call, {"x": ("float32", (None, 8))})
    part = onnx_part(traced)
    assert {spec.name for spec in part.traced.outputs} == {"scores", "label_ids"}
    said = {choice.chosen for choice in part.choices}
    assert said == {"label_ids in the place of label", "without names"}
    agrees(traced, part, {"x": np.ones((2, 8), np.float32)}, tmp_path)


def test_a_look_up_that_no_input_decides_becomes_a_constant(
    table: Any, weight: Any, tmp_path: Path
) -> None:
    def call(t: Any) -> Any:
        return {"y": tf.gather(weight, table.lookup(tf.constant(["b"]))) + t["x"]}

    traced = traced_formula(call, {"x": ("float32", (None, 4))})
    part = onnx_part(traced)
    assert [name for name, _, _ in inputs_of(part)] == ["x"]
    agrees(traced, part, {"x": np.ones((2, 4), np.float32)}, tmp_path)


def test_when_nothing_is_left_the_reason_is_said(table: Any) -> None:
    traced = traced_formula(lambda t: {"y": table.lookup(t["text"])}, TEXT)
    with pytest.raises(ConversionError, match="Nothing of this model can be an ONNX model"):
        onnx_part(traced)
