from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.parsing import batch_parser
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.data.schema import FeatureSpec, Schema

SIZES = [(2, 3), (4, 1), (1, 5), (3, 3)]


@pytest.fixture
def manifest(write_dataset: Any) -> Manifest:
    found: Manifest = write_dataset(
        {
            "image": np.full((*size, 2), number + 1, "uint8"),
            "rows": np.full((size[0], 2), number, "float32"),
            "steps": np.arange(size[0], dtype="int16"),
            "words": ["w"] * size[1],
            "label": number,
        }
        for number, size in enumerate(SIZES)
    )
    return found


def test_what_varies_is_ragged_and_holds_each_example_as_it_was(manifest: Any) -> None:
    features, label = next(iter(read_dataset(manifest, "train", 4, ragged=True)))
    for number, (height, width) in zip(label.numpy(), SIZES, strict=True):
        image = features["image"][number].to_tensor().numpy()
        assert (image == np.full((height, width, 2), number + 1)).all()
        assert features["rows"][number].numpy().tolist() == [[number, number]] * height
        assert features["steps"][number].numpy().tolist() == list(range(height))
        assert features["words"][number].numpy().tolist() == [b"w"] * width


def test_types_and_shapes_are_known_beforehand(manifest: Any) -> None:
    features, _ = read_dataset(manifest, "train", 4, ragged=True).element_spec
    assert features["image"] == tf.RaggedTensorSpec((None, None, None, 2), tf.uint8, 2)
    assert features["rows"] == tf.RaggedTensorSpec((None, None, 2), tf.float32, 1)
    assert features["steps"] == tf.RaggedTensorSpec((None, None), tf.int16, 1)
    assert features["words"] == tf.RaggedTensorSpec((None, None), tf.string, 1)


def test_what_does_not_vary_stays_dense(write_dataset: Any) -> None:
    manifest = write_dataset([{"x": np.zeros(3, "float32"), "label": 1}] * 2)
    features, _ = next(iter(read_dataset(manifest, "train", 2, ragged=True)))
    assert features.shape == (2, 3)


def test_serialized_tensors_and_images_may_be_ragged_too() -> None:
    pictures = [np.full((*size, 3), 100, "uint8") for size in SIZES]
    schema = Schema(
        features={
            "picture": FeatureSpec("uint8", (None, None, 3), encoding="image"),
            "tensor": FeatureSpec("uint8", (None, None, 3), encoding="tensor"),
        }
    )
    records = [
        _example(picture=tf.io.encode_png(p).numpy(), tensor=tf.io.serialize_tensor(p).numpy())
        for p in pictures
    ]
    batch = batch_parser(schema, ragged=True)(tf.constant(records))
    for name in ("picture", "tensor"):
        for found, written in zip(batch[name], pictures, strict=True):
            assert (found.to_tensor().numpy() == written).all()


def test_feature_lists_of_sequence_examples_may_be_ragged() -> None:
    schema = Schema(
        features={"steps": FeatureSpec("int64", (None,), sequence=True), "n": FeatureSpec("int64")},
        layout="sequence_example",
    )
    records = [_sequence_example(n) for n in (3, 1, 2)]
    batch = batch_parser(schema, ragged=True)(tf.constant(records))
    assert batch["steps"].to_list() == [[0, 1, 2], [0], [0, 1]]
    assert batch["n"].numpy().tolist() == [3, 1, 2]


def test_only_the_features_asked_for_are_parsed(manifest: Any) -> None:
    parse = batch_parser(manifest.schema, {"steps", "label"})
    records = next(iter(tf.data.TFRecordDataset(str(manifest.shard_paths("train")[0])).batch(2)))
    assert set(parse(records)) == {"steps", "label"}
    lacking = dataclasses.replace(
        manifest.schema, features={**manifest.schema.features, "more": FeatureSpec("int64")}
    )
    assert set(batch_parser(lacking, {"steps"})(records)) == {"steps"}


def _example(**values: bytes) -> bytes:
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in values.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString())


def _sequence_example(count: int) -> bytes:
    example = tf.train.SequenceExample()
    example.context.feature["n"].int64_list.value.append(count)
    for number in range(count):
        step = example.feature_lists.feature_list["steps"].feature.add()
        step.int64_list.value.append(number)
    return bytes(example.SerializeToString())
