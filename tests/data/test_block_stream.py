from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.data import block_stream
from mlflow_tfconv.data.framing import framed
from mlflow_tfconv.data.manifest import Manifest, write_manifest
from mlflow_tfconv.data.named_stream import named_batches
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.data.rows import row_bytes, row_of, rows_per_record
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.data.shards import Compression, ShardFile
from mlflow_tfconv.errors import DataError

SCHEMA = Schema(
    features={
        "x": FeatureSpec("float32", (2, 3), encoding="raw"),
        "flag": FeatureSpec("bool"),
        "small": FeatureSpec("uint8", (4000,), encoding="raw"),
        "label": FeatureSpec("int64"),
    },
    label=("label",),
    layout="block",
)
ROW_BYTES = row_bytes(SCHEMA)
PER_RECORD = rows_per_record(ROW_BYTES)
WriteBlocks = Callable[..., Manifest]


def example(number: int) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "x": np.full((2, 3), number / 2, "float32"),
        "flag": np.array(number % 2 == 1),
        "small": np.full(4000, number % 256, "uint8"),
        "label": np.array(number),
    }


@pytest.fixture(params=[ROW_BYTES, ROW_BYTES + 1], ids=["large rows", "small rows"])
def write_blocks(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> WriteBlocks:
    """Writes examples 0, 1, 2 ... into shards of so many each."""
    monkeypatch.setattr(block_stream, "_LARGE_ROW_BYTES", request.param)

    def write(*counts: int, compression: Compression = "") -> Manifest:
        numbers, shards = itertools.count(), []
        for index, count in enumerate(counts):
            path = tmp_path / f"train-{index:05d}"
            with ShardFile(path, compression) as file:
                for first in range(0, count, PER_RECORD):
                    some = itertools.islice(numbers, min(PER_RECORD, count - first))
                    file.write(framed(b"".join(row_of(example(n)) for n in some)))
                shards.append(file.finish(count, 0))
        manifest = Manifest(schema=SCHEMA, splits={"train": tuple(shards)}, folder=tmp_path)
        write_manifest(manifest, tmp_path)
        return manifest

    return write


def labels_of(dataset: tf.data.Dataset) -> list[int]:
    return [label for _, batch in dataset for label in batch.numpy().tolist()]


@pytest.mark.parametrize("compression", ["", "gzip"])
@pytest.mark.parametrize("counts", [(1,), (PER_RECORD, 3), (2 * PER_RECORD + 7, 5)])
def test_every_example_comes_once_with_its_own_values(
    write_blocks: WriteBlocks, counts: tuple[int, ...], compression: Compression
) -> None:
    manifest = write_blocks(*counts, compression=compression)
    for shuffle in (False, True):
        seen = []
        for features, labels in read_dataset(manifest, "train", 32, shuffle=shuffle):
            numbers = labels.numpy()
            seen += numbers.tolist()
            assert (features["x"].numpy() == numbers[:, None, None] / 2).all()
            assert (features["flag"].numpy() == (numbers % 2 == 1)).all()
            assert (features["small"].numpy() == (numbers % 256)[:, None]).all()
        assert sorted(seen) == list(range(sum(counts)))
        assert shuffle or seen == sorted(seen)


def test_types_and_shapes_are_those_of_the_schema(write_blocks: WriteBlocks) -> None:
    features, label = read_dataset(write_blocks(3), "train", 2).element_spec
    assert features["x"] == tf.TensorSpec((None, 2, 3), tf.float32)
    assert features["flag"] == tf.TensorSpec((None,), tf.bool)
    assert features["small"] == tf.TensorSpec((None, 4000), tf.uint8)
    assert label == tf.TensorSpec((None,), tf.int64)


def test_batches_are_full_up_to_the_last(write_blocks: WriteBlocks) -> None:
    manifest = write_blocks(10, 2 * PER_RECORD + 1)
    total = 11 + 2 * PER_RECORD
    for shuffle in (False, True):
        sizes = [len(y) for _, y in read_dataset(manifest, "train", 100, shuffle=shuffle)]
        assert sizes == [100] * (total // 100) + [total % 100]
        whole = read_dataset(manifest, "train", 100, shuffle=shuffle, drop_remainder=True)
        assert len(list(whole)) == len(whole) == total // 100


def test_a_seed_decides_the_order_of_each_pass(write_blocks: WriteBlocks) -> None:
    manifest = write_blocks(3 * PER_RECORD, 40)
    dataset = read_dataset(manifest, "train", 64, shuffle=True, seed=3)
    first, second = labels_of(dataset), labels_of(dataset)
    assert first != second
    again = read_dataset(manifest, "train", 64, shuffle=True, seed=3)
    assert (labels_of(again), labels_of(again)) == (first, second)
    assert first != labels_of(read_dataset(manifest, "train", 64, shuffle=True, seed=4))


def test_the_order_is_well_mixed(write_blocks: WriteBlocks) -> None:
    manifest = write_blocks(*[9 * PER_RECORD] * 8)
    order = np.array(labels_of(read_dataset(manifest, "train", 64, shuffle=500, seed=1)))
    count = len(order)
    assert abs(np.corrcoef(order, np.arange(count))[0, 1]) < 0.3  # of 72 records in a random order
    spread = [np.ptp(order[at : at + 64]) / count for at in range(0, count - 64, 64)]
    assert np.median(spread) > 0.6  # a batch comes from all over the split
    assert np.abs(np.diff(order)).mean() > count / 5  # of a uniform order: count / 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: os.utime(path, ns=(1, 1)), "size or time is another"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_a_shard_that_changes_while_it_is_read_is_told(
    write_blocks: WriteBlocks, change: Callable[[Path], None], says: str
) -> None:
    manifest = write_blocks(2 * PER_RECORD)
    dataset = read_dataset(manifest, "train", 2, shuffle=True)
    change(manifest.shard_paths("train")[0])
    with pytest.raises(tf.errors.OpError, match=says):
        labels_of(dataset)


def test_batches_at_the_begin_can_be_left_out(write_blocks: WriteBlocks) -> None:
    manifest = write_blocks(PER_RECORD + 3)
    asked = {"shuffle": True, "seed": 5}
    whole = labels_of(read_dataset(manifest, "train", 8, **asked))
    assert labels_of(read_dataset(manifest, "train", 8, skip=2, **asked)) == whole[16:]


def test_some_features_of_some_examples_are_read(write_blocks: WriteBlocks) -> None:
    manifest = write_blocks(PER_RECORD + 3, 9)
    wanted = np.array([0, 5, PER_RECORD + 2, PER_RECORD + 3, PER_RECORD + 11])
    (batch,) = named_batches(manifest, "train", {"flag", "x"}, 64, numbers=wanted)
    assert set(batch) == {"flag", "x"}
    assert (batch["x"].numpy()[:, 0, 0] == wanted / 2).all()
    assert (batch["flag"].numpy() == (wanted % 2 == 1)).all()


def test_a_shard_of_another_layout_is_told(write_blocks: WriteBlocks) -> None:
    manifest = write_blocks(5)
    (shard,) = manifest.splits["train"]
    path = manifest.folder / shard.path
    path.write_bytes(path.read_bytes() + b"x" * 3)
    changed = dataclasses.replace(shard, size_bytes=shard.size_bytes + 3, crc32c="", sha256="")
    odd = dataclasses.replace(manifest, splits={"train": (changed,)})
    with pytest.raises(DataError, match="layout `block`"):
        read_dataset(odd, "train", 2, shuffle=True)
