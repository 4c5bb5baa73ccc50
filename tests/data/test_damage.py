from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tfrecord_files import example, jpeg, write_records

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.data.batches import feature_batches
from mlflow_tfconv.data.damage import data_error_of, telling_damage
from mlflow_tfconv.data.framing import framed
from mlflow_tfconv.data.manifest import Manifest, Shard
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.errors import DataError

FILES = Path(__file__).parents[1] / "fixtures" / "tfrecords"
LABEL = Schema(features={"label": FeatureSpec("int64"), "image_raw": FeatureSpec("string")})


def manifest_of(path: Path, schema: Schema, count: int) -> Manifest:
    shard = Shard(
        path=str(path), count=count, size_bytes=path.stat().st_size, sha256="", content="0"
    )
    return Manifest(schema=schema, splits={"train": (shard,)}, folder=path.parent)


def test_a_wrong_checksum_is_told_with_file_and_record(tmp_path: Path) -> None:
    path = Path(shutil.copy(FILES / "bad_data_crc.tfrecords", tmp_path))
    manifest = manifest_of(path, LABEL, 6)
    with (
        pytest.raises(DataError, match=r"bad_data_crc.*record 2 \(from 0\) at byte 160"),
        telling_damage(manifest, "train"),
    ):
        list(read_dataset(manifest, "train", 2))


def test_a_record_that_is_no_image_is_told(tmp_path: Path) -> None:
    images = [jpeg(8, 8), jpeg(8, 8), jpeg(8, 8)[:-60]]
    path = write_records(tmp_path / "x.tfrecord", (example({"image": [i]}) for i in images))
    spec = FeatureSpec("uint8", (8, 8, 3), encoding="image")
    manifest = manifest_of(path, Schema(features={"image": spec}), 3)
    inputs = [TensorSpec(name="image", dtype="uint8", shape=(None, 8, 8, 3))]
    with pytest.raises(DataError, match=r"x\.tfrecord, record 2 \(from 0\)"):
        list(feature_batches(manifest, "train", batch_size=2, inputs=inputs))


def test_a_record_that_lacks_a_feature_is_told(tmp_path: Path) -> None:
    rows = [{"label": [1]}, {"other": [1]}]
    path = write_records(tmp_path / "x.tfrecord", map(example, rows))
    manifest = manifest_of(path, Schema(features={"label": FeatureSpec("int64")}), 2)
    with (
        pytest.raises(DataError, match=r"record 1 .* as the manifest says"),
        telling_damage(manifest),
    ):
        list(read_dataset(manifest, "train", 2))


def test_an_error_about_something_else_stays_as_it_is(
    write_dataset: Callable[..., Any],
) -> None:
    manifest = write_dataset([{"x": np.ones(2, np.float32), "label": 1}])
    error = tf.errors.InvalidArgumentError(None, None, "Incompatible shapes: [1,2] vs. [3]")
    assert data_error_of(error, manifest) is None
    assert data_error_of(tf.errors.DataLossError(None, None, "truncated"), manifest) is None
    assert data_error_of(ValueError("x"), manifest) is None


def test_a_huge_length_is_found_without_tensorflow(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(framed(b"") + (FILES / "huge_length.tfrecords").read_bytes())
    manifest = manifest_of(path, LABEL, 7)
    error = tf.errors.DataLossError(None, None, "corrupted record at 0")
    assert "record 2 (from 0) at byte 96" in str(data_error_of(error, manifest))
