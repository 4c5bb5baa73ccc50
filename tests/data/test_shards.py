from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from mlflow_tfconv.data.records import read_records
from mlflow_tfconv.data.shards import ShardWriter
from mlflow_tfconv.errors import DataError


def test_a_new_shard_begins_when_one_is_full(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "train", 100) as writer:
        for number in range(7):
            writer.write(bytes([number]) * 30)
    assert [shard.count for shard in writer.shards] == [2, 2, 2, 1]
    assert all(shard.size_bytes <= 100 for shard in writer.shards)
    paths = [tmp_path / shard.path for shard in writer.shards]
    assert sorted(tmp_path.iterdir()) == paths
    assert [record[0] for path in paths for record in read_records(path)] == list(range(7))


def test_a_record_larger_than_a_shard_gets_its_own(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "train", 10) as writer:
        writer.write(b"x" * 50)
        writer.write(b"y" * 50)
    assert [shard.count for shard in writer.shards] == [1, 1]


def test_a_failure_leaves_finished_shards_only(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with ShardWriter(tmp_path, "train", 100) as writer:
            for _ in range(3):
                writer.write(b"x" * 50)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "train-00000.tfrecord",
        "train-00001.tfrecord",
    ]


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_the_checksums_are_those_of_the_file(tmp_path: Path, compression: Any) -> None:
    with ShardWriter(tmp_path, "train", 10**6, compression=compression) as writer:
        writer.write(b"x" * 5000)
    (shard,) = writer.shards
    data = (tmp_path / shard.path).read_bytes()
    assert shard.sha256 == hashlib.sha256(data).hexdigest()
    assert int(shard.crc32c, 16) == google_crc32c.value(data)
    assert (len(shard.crc32c), shard.size_bytes) == (8, len(data))
    assert data[4:8] == b"\0\0\0\0" if compression else len(data) == 5016


def test_a_split_without_examples_has_no_shards(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "train", 100) as writer:
        pass
    assert writer.shards == ()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / ".train-00000.tfrecord.unfinished").symlink_to(full)
    with pytest.raises(DataError, match="can't be written"):
        write_one(tmp_path, b"x" * 10**6)


def write_one(folder: Path, record: bytes) -> None:
    with ShardWriter(folder, "train", 10**6) as writer:
        writer.write(record)
