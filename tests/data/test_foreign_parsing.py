from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.foreign_parsing import (
    decode_image_feature,
    decode_tensor_feature,
    parse_sequence_examples,
)
from mlflow_tfconv.data.schema import FeatureSpec

RANDOM = np.random.default_rng(0)


def tensors(spec: FeatureSpec, *values: bytes) -> Any:
    decode = tf.function(lambda found: decode_tensor_feature(found, spec), autograph=False)
    return decode(tf.constant(values, tf.string)).numpy()


def images(spec: FeatureSpec, *values: bytes) -> Any:
    decode = tf.function(lambda found: decode_image_feature(found, spec), autograph=False)
    return decode(tf.constant(values, tf.string)).numpy()


def feature(values: list[Any]) -> Any:
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def sequence(context: dict[str, list[Any]], lists: dict[str, list[list[Any]]]) -> bytes:
    return tf.train.SequenceExample(
        context=tf.train.Features(feature={name: feature(v) for name, v in context.items()}),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                name: tf.train.FeatureList(feature=map(feature, steps))
                for name, steps in lists.items()
            }
        ),
    ).SerializeToString()


def test_tensors_of_one_shape_are_decoded_however_they_are_written() -> None:
    expected = RANDOM.random((2, 3)).astype(np.float32)
    usual = tf.io.serialize_tensor(expected).numpy()
    reordered = usual[2:] + usual[:2]
    spec = FeatureSpec("float32", (2, 3), encoding="tensor")
    np.testing.assert_array_equal(tensors(spec, usual, usual), [expected, expected])
    np.testing.assert_array_equal(tensors(spec, usual, reordered), [expected, expected])


def test_tensors_of_several_shapes_are_padded() -> None:
    spec = FeatureSpec("int32", (None, 2), encoding="tensor")
    values = [tf.io.serialize_tensor(np.ones((n, 2), np.int32)).numpy() for n in (1, 3, 0)]
    assert tensors(spec, *values).sum(axis=(1, 2)).tolist() == [2, 6, 0]
    assert tensors(spec, *values).shape == (3, 3, 2)
    assert tensors(spec).shape == (0, 0, 2)


def test_tensors_of_strings_are_decoded() -> None:
    spec = FeatureSpec("string", (None,), encoding="tensor")
    values = [tf.io.serialize_tensor(words).numpy() for words in ([b"a"], [b"b", b"c"])]
    assert tensors(spec, *values).tolist() == [[b"a", b""], [b"b", b"c"]]


def test_images_of_one_size_are_decoded() -> None:
    pixels = RANDOM.integers(0, 255, (2, 4, 5, 3), np.uint8)
    spec = FeatureSpec("uint8", (4, 5, 3), encoding="image")
    encoded = [tf.io.encode_png(image).numpy() for image in pixels]
    np.testing.assert_array_equal(images(spec, *encoded), pixels)


def test_images_of_several_formats_and_sizes_are_padded() -> None:
    gray = tf.io.encode_png(np.full((2, 6, 1), 9, np.uint8)).numpy()
    jpeg = tf.io.encode_jpeg(np.full((4, 5, 3), 9, np.uint8)).numpy()
    spec = FeatureSpec("uint8", (None, None, 3), encoding="image")
    found = images(spec, gray, jpeg)
    assert found.shape == (2, 4, 6, 3)
    assert (found[0] > 0).sum() == 2 * 6 * 3


def test_lists_of_sequence_examples_are_padded_to_the_longest() -> None:
    frames = [tf.io.encode_png(np.full((2, 2, 3), n, np.uint8)).numpy() for n in (1, 2, 3)]
    records = [
        sequence({"label": [1]}, {"row": [[1.0, 2.0]], "words": [[7], [8, 9]], "frames": []}),
        sequence({"label": [0]}, {"row": [], "words": [[5]], "frames": [[f] for f in frames]}),
    ]
    specs = {
        "row": FeatureSpec("float32", (None, 2), sequence=True),
        "words": FeatureSpec("int64", (None, None), sequence=True),
        "frames": FeatureSpec("uint8", (None, 2, 2, 3), encoding="image", sequence=True),
    }
    wire = {"label": tf.io.FixedLenFeature([], tf.int64)}
    parse = tf.function(lambda r: parse_sequence_examples(r, wire, specs), autograph=False)
    context, lists = parse(tf.constant(records))
    assert context["label"].numpy().tolist() == [1, 0]
    assert lists["row"].numpy().tolist() == [[[1, 2]], [[0, 0]]]
    assert lists["words"].numpy().tolist() == [[[7, 0], [8, 9]], [[5, 0], [0, 0]]]
    assert lists["frames"].numpy()[:, :, 0, 0, 0].tolist() == [[0, 0, 0], [1, 2, 3]]


def test_raw_and_serialized_steps_are_decoded() -> None:
    rows = RANDOM.random((3, 2)).astype(np.float32)
    records = [
        sequence(
            {"id": [1]},
            {
                "raw": [[row.tobytes()] for row in rows],
                "packed": [[tf.io.serialize_tensor(row).numpy()] for row in rows],
            },
        )
    ]
    specs = {
        "raw": FeatureSpec("float32", (3, 2), encoding="raw", sequence=True),
        "packed": FeatureSpec("float32", (None, 2), encoding="tensor", sequence=True),
    }
    parse = tf.function(lambda r: parse_sequence_examples(r, {}, specs), autograph=False)
    _, lists = parse(tf.constant(records))
    np.testing.assert_array_equal(lists["raw"][0], rows)
    np.testing.assert_array_equal(lists["packed"][0], rows)
