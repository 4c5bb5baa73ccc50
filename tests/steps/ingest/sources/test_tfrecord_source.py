from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.data.manifest import read_manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.config import FeatureConfig
from mlflow_tfconv.steps.ingest.sources.tfrecord_files import split_said_by

FILES = Path(__file__).parents[3] / "fixtures" / "tfrecords"
IMAGE = {
    "label": FeatureConfig(dtype="int64"),
    "image_raw": FeatureConfig(dtype="uint8", shape=(3, 3, 3)),
}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            writer.write(example(row).SerializeToString())


def example(row: dict[str, Any]) -> Any:
    kinds = {
        int: lambda v: tf.train.Feature(int64_list=tf.train.Int64List(value=v)),
        float: lambda v: tf.train.Feature(float_list=tf.train.FloatList(value=v)),
        bytes: lambda v: tf.train.Feature(bytes_list=tf.train.BytesList(value=v)),
    }
    feature = {name: kinds[type(values[0])](values) for name, values in row.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature))


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": [n],
            "row": [n / 2, 1.0],
            "tokens": [7] * (n % 3 + 1),
            "text": [b"a"],
            "label": [n % 2],
        }
        for n in range(count)
    ]


def test_files_that_say_their_split_stay_where_they_are(ingest: Any, tmp_path: Path) -> None:
    write(tmp_path / "data" / "train-00000-of-00001.tfrecord", rows(5))
    write(tmp_path / "data" / "val" / "a.tfrecords", rows(2))
    result = ingest(using="tfrecord", location=str(tmp_path / "data"), label="label")
    manifest = read_manifest(result.output.manifest)
    assert manifest.counts == {"train": 5, "validation": 2}
    assert manifest.shard_paths("train")[0].parent == (tmp_path / "data").resolve()
    shapes = {name: (spec.dtype, spec.shape) for name, spec in manifest.schema.features.items()}
    assert shapes == {
        "id": ("int64", ()),
        "label": ("int64", ()),
        "row": ("float32", (2,)),
        "text": ("string", ()),
        "tokens": ("int64", (None,)),
    }
    features, label = next(iter(read_dataset(manifest, "train", 5)))
    np.testing.assert_array_equal(features["row"][:, 0], np.arange(5) / 2)
    assert features["tokens"].numpy().tolist()[:3] == [[7, 0, 0], [7, 7, 0], [7, 7, 7]]
    assert label.numpy().tolist() == [0, 1, 0, 1, 0]


def test_files_that_say_no_split_are_split_by_hash(ingest: Any, tmp_path: Path) -> None:
    write(tmp_path / "data" / "all.tfrecord", rows(80))
    result = ingest(using="tfrecord", location=str(tmp_path / "data"), label="label", key="id")
    assert sum(result.output.counts.values()) == 80
    assert result.output.counts["train"] > 50
    manifest = read_manifest(result.output.manifest)
    assert all(path.is_file() for split in manifest.splits for path in manifest.shard_paths(split))


def test_bytes_are_read_as_the_array_that_the_config_gives(ingest: Any, tmp_path: Path) -> None:
    shutil.copy(FILES / "good.tfrecords", tmp_path / "test.tfrecords")
    location = str(tmp_path / "*.tfrecords")
    result = ingest(using="tfrecord", location=location, label="label", features=IMAGE)
    image, label = next(iter(read_dataset(result.output, "test", 6)))
    assert (image.dtype, image.shape) == (tf.uint8, (6, 3, 3, 3))
    assert label.numpy().tolist() == list(range(6))


@pytest.mark.parametrize(
    ("name", "record"),
    [("bad_data_crc", 2), ("bad_length_crc", 3), ("huge_length", 1), ("truncated", 5)],
)
def test_damaged_files_are_told_with_the_record(ingest: Any, name: str, record: int) -> None:
    location = str(FILES / f"{name}.tfrecords")
    with pytest.raises(DataError, match=rf"{name}\.tfrecords is damaged: record {record} "):
        ingest(using="tfrecord", location=location, label="label")


def test_a_given_feature_that_does_not_fit_is_told(ingest: Any) -> None:
    features = IMAGE | {"image_raw": FeatureConfig(dtype="uint8", shape=(4, 4))}
    with pytest.raises(DataError, match=r"record 0 .* 'image_raw' can't be read") as caught:
        ingest(using="tfrecord", location=str(FILES / "good.tfrecords"), features=features)
    assert "27 bytes" in str(caught.value)


def test_a_given_feature_that_is_missing_is_told(ingest: Any) -> None:
    features = {"picture": FeatureConfig(dtype="string")}
    with pytest.raises(DataError, match="lacks the feature 'picture'"):
        ingest(using="tfrecord", location=str(FILES / "good.tfrecords"), features=features)


def test_records_that_are_no_examples_are_told(ingest: Any, tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "x.tfrecord")) as writer:
        writer.write(b"not a protobuf")
    with pytest.raises(DataError, match=r"no tf\.train\.Example"):
        ingest(using="tfrecord", location=str(tmp_path / "x.tfrecord"))


def test_files_of_which_some_say_their_split_are_refused(ingest: Any, tmp_path: Path) -> None:
    for name in ("train.tfrecord", "more.tfrecord"):
        write(tmp_path / "data" / name, rows(1))
    with pytest.raises(DataError, match="others don't"):
        ingest(using="tfrecord", location=str(tmp_path / "data"))


def test_a_split_is_told_by_name_or_by_folder(tmp_path: Path) -> None:
    for name, split in {
        "train-00000-of-00004.tfrecord": "train",
        "valid/00.tfrecord": "validation",
        "MNIST_test.tfrecords": "test",
        "latest.tfrecord": None,
    }.items():
        assert split_said_by(name) == split
