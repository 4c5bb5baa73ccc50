from __future__ import annotations

import gzip
import os
import random
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from tfrecord_files import example, jpeg, write_records

from mlflow_tfconv.data.example_messages import Example
from mlflow_tfconv.data.framing import framed
from mlflow_tfconv.data.manifest import file_sha256, read_manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.engine.events import Message
from mlflow_tfconv.errors import DataError

FILES = Path(__file__).parents[3] / "fixtures" / "tfrecords"


def texts(events: list[Any]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Message))


def plain_example(number: int) -> bytes:
    message = Example()
    message.features.feature["id"].int64_list.value.append(number)
    message.features.feature["row"].float_list.value.extend([number / 2] * 5)
    message.features.feature["data"].bytes_list.value.append(os.urandom(30))
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    ("name", "left", "says"),
    [
        ("bad_data_crc", 5, "record 2 (from 0) at byte 160: the checksum of its data is wrong"),
        ("bad_length_crc", 3, "240 bytes from there on are lost"),
        ("huge_length", 1, "400 bytes from there on are lost"),
        ("truncated", 5, "71 bytes from there on are lost"),
    ],
)
def test_damaged_records_can_be_left_out(
    ingest: Any, events: list[Any], tmp_path: Path, name: str, left: int, says: str
) -> None:
    path = shutil.copy(FILES / f"{name}.tfrecords", tmp_path / f"train-{name}.tfrecords")
    result = ingest(using="tfrecord", location=str(path), on_error="skip")
    assert result.output.counts["train"] == left
    assert says in texts(events)
    assert len(list(read_dataset(result.output, "train", 1))) == left


def test_records_that_do_not_fit_can_be_left_out(ingest: Any, tmp_path: Path) -> None:
    rows = [{"image": [jpeg(4, 4)], "label": [n]} for n in range(6)]
    rows[1]["image"] = [jpeg(4, 4)[:-20]]
    del rows[2]["label"]
    path = write_records(tmp_path / "x.tfrecord", [*map(example, rows), b"text"])
    result = ingest(using="tfrecord", location=str(path), label="label", on_error="skip")
    assert sum(result.output.counts.values()) == 4


def test_too_many_damaged_records_end_the_step(ingest: Any, tmp_path: Path) -> None:
    path = write_records(tmp_path / "x.tfrecord", [example({"x": [1]}), b"a", b"b"])
    with pytest.raises(DataError, match="More than 1 example can't be used"):
        ingest(using="tfrecord", location=str(path), on_error="skip", max_errors=1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,b\n1,2\n", "text, beginning with 'a,b'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"PAR1" + bytes(20), "Parquet"),
    ],
)
def test_other_files_are_told_for_what_they_are(
    ingest: Any, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "train.tfrecord").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.tfrecord is no TFRecord file") as caught:
        ingest(using="tfrecord", location=str(tmp_path / "train.tfrecord"))
    assert says in str(caught.value)


def test_empty_files_are_told(ingest: Any, events: list[Any], tmp_path: Path) -> None:
    write_records(tmp_path / "in" / "train-0.tfrecord", [example({"x": [1]})])
    (tmp_path / "in" / "train-1.tfrecord").touch()
    result = ingest(using="tfrecord", location=str(tmp_path / "in"))
    assert result.output.counts == {"train": 1}
    assert "Files of 0 bytes" in texts(events)
    with pytest.raises(DataError, match="no records"):
        ingest(using="tfrecord", location=str(tmp_path / "in" / "train-1.tfrecord"))


def test_a_file_that_changed_in_its_place_is_told(ingest: Any, tmp_path: Path) -> None:
    path = write_records(tmp_path / "train.tfrecord", [example({"x": [n]}) for n in range(3)])
    manifest = read_manifest(ingest(using="tfrecord", location=str(path)).output.manifest)
    path.touch()
    assert len(list(read_dataset(manifest, "train", 1))) == 3
    write_records(path, [example({"x": [n]}) for n in (3, 4, 5)])
    with pytest.raises(DataError, match="has changed since it was ingested"):
        read_dataset(manifest, "train", 1)


def test_the_digests_of_files_in_place_are_those_of_their_bytes(
    ingest: Any, tmp_path: Path
) -> None:
    path = write_records(tmp_path / "train.tfrecord.gz", [example({"x": [1]})], "GZIP")
    (shard,) = read_manifest(ingest(using="tfrecord", location=str(path)).output.manifest).splits[
        "train"
    ]
    assert (shard.size_bytes, shard.compression, shard.count) == (path.stat().st_size, "gzip", 1)
    assert shard.sha256 == file_sha256(path)


def test_many_files_in_place_are_counted_one_by_one(ingest: Any, tmp_path: Path) -> None:
    for number in range(520):
        records = [framed(plain_example(n)) for n in range(number % 3 + 1)]
        (tmp_path / f"train-{number:05d}-of-00520").write_bytes(b"".join(records))
    result = ingest(using="tfrecord", location=str(tmp_path / "train-*"))
    shards = read_manifest(result.output.manifest).splits["train"]
    assert [shard.count for shard in shards[:4]] == [1, 2, 3, 1]
    assert len(shards) == 520


def test_damage_anywhere_is_an_error_that_names_the_file(ingest: Any, tmp_path: Path) -> None:
    chance = random.Random(0)
    whole = b"".join(framed(plain_example(n)) for n in range(20))
    for number in range(40):
        pack = chance.choice((bytes, gzip.compress, zlib.compress))
        damaged = bytearray(pack(whole))
        place = chance.randrange(len(damaged) - 1)
        kind = chance.choice(("flip", "cut", "insert"))
        if kind == "flip":
            damaged[place] ^= 1 << chance.randrange(8)
        elif kind == "cut":
            del damaged[max(place, 1) :]
        else:
            damaged[place:place] = chance.randbytes(9)
        path = tmp_path / f"train-{number}.tfrecord"
        path.write_bytes(damaged)
        said = outcome(ingest, path)
        assert path.name in said or said in map(str, range(21))  # cut between two records


def outcome(ingest: Any, path: Path) -> str:
    """The error, or the number of examples."""
    try:
        return str(ingest(using="tfrecord", location=str(path)).output.counts["train"])
    except DataError as error:
        return str(error)
