from __future__ import annotations

import json
from typing import Any

import pytest

from mlflow_tfconv.data.manifest import FILE_NAME, read_manifest, verify_split
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
