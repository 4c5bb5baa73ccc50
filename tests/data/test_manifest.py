from __future__ import annotations

import functools
import json
import operator
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.data.manifest import FILE_NAME, check_split, read_manifest, verify_split
from mlflow_tfconv.errors import DataError

EXAMPLES = [{"x": [number, 0, 1], "label": number % 2} for number in range(50)]


def test_what_was_written_is_read_back(write_dataset: Any) -> None:
    manifest = write_dataset(EXAMPLES)
    assert read_manifest(manifest.folder) == manifest
    assert manifest.counts == {"train": 50, "validation": 0}


def test_the_digest_tells_the_content_not_the_shards_or_the_order(write_dataset: Any) -> None:
    one = write_dataset(EXAMPLES, folder="one")
    other = write_dataset(EXAMPLES[::-1], folder="other", shard_bytes=300)
    less = write_dataset(EXAMPLES[:-1], folder="less")
    assert len(other.splits["train"]) > len(one.splits["train"])
    assert one.digest == other.digest
    assert one.digest != less.digest


def test_shards_are_the_same_to_the_bit_when_written_again(write_dataset: Any) -> None:
    one, other = (write_dataset(EXAMPLES, folder=folder) for folder in ("one", "other"))
    assert one.splits == other.splits
    for a, b in zip(one.shard_paths("train"), other.shard_paths("train"), strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_a_shard_with_changed_content_of_the_same_size_is_told(write_dataset: Any) -> None:
    manifest = write_dataset(EXAMPLES)
    verify_split(manifest, "train")
    path = manifest.shard_paths("train")[0]
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="has changed"):
        verify_split(manifest, "train")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "splits": []}'])
def test_a_damaged_manifest_is_told(write_dataset: Any, text: str) -> None:
    path = write_dataset(EXAMPLES).folder / FILE_NAME
    path.write_text(text)
    with pytest.raises(DataError, match="can't be used"):
        read_manifest(path)


def test_a_manifest_that_was_edited_is_told(write_dataset: Any) -> None:
    path = write_dataset(EXAMPLES).folder / FILE_NAME
    data = json.loads(path.read_text())
    data["splits"]["train"][0]["count"] += 1
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="digest"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("splits", "train", 0, "count"), "5"),
        (("splits", "train", 0, "size_bytes"), -1),
        (("splits", "train", 0, "path"), 5),
        (("splits", "train", 0, "compression"), "zip"),
        (("schema", "label"), ["nothing"]),
        (("schema", "layout"), "rows"),
        (("schema", "features", "x", "dtype"), "float99"),
        (("schema", "features", "x", "encoding"), "none"),
        (("schema", "features", "x", "shape"), [-1]),
    ],
)
def test_a_manifest_that_says_what_can_not_be_is_told(
    write_dataset: Any, place: tuple[Any, ...], value: Any
) -> None:
    path = write_dataset(EXAMPLES).folder / FILE_NAME
    data = json.loads(path.read_text())
    *way, last = place
    functools.reduce(operator.getitem, way, data)[last] = value
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="can't be used") as caught:
        read_manifest(path)
    assert "digest" not in str(caught.value)


def test_a_manifest_of_endless_brackets_is_told(write_dataset: Any) -> None:
    path = write_dataset(EXAMPLES).folder / FILE_NAME
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match="can't be used"):
        read_manifest(path)


def test_a_folder_in_the_place_of_a_shard_is_told(write_dataset: Any) -> None:
    manifest = write_dataset(EXAMPLES)
    path = manifest.shard_paths("train")[0]
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="has changed"):
        check_split(manifest, "train")


def test_files_that_can_not_be_read_are_told(write_dataset: Any, tmp_path: Path) -> None:
    path = write_dataset(EXAMPLES).folder / FILE_NAME
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    path.unlink()
    path.symlink_to(loop)
    with pytest.raises(DataError, match="can't be read"):
        read_manifest(path)
