from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_tfconv.data.framing import framed, framed_each, frames_of, masked_crc32c, records_of
from mlflow_tfconv.data.records import read_records
from mlflow_tfconv.errors import DataError

FILES = Path(__file__).parents[1] / "fixtures" / "tfrecords"


def test_the_checksum_is_that_of_tfrecords() -> None:
    header = (FILES / "good.tfrecords").read_bytes()[:12]
    assert masked_crc32c(header[:8]) == int.from_bytes(header[8:], "little")


def test_records_are_framed_the_same_at_once_and_one_by_one() -> None:
    records = [bytes([number]) * (number * 7 % 300) for number in range(256)]
    assert framed_each(records) == [*map(framed, records)]
    assert framed_each([]) == []


def test_the_records_of_a_whole_file_are_found() -> None:
    assert [len(record) for record in read_records(FILES / "good.tfrecords")] == [64] * 6


def test_a_record_is_framed_as_tensorflow_does_it() -> None:
    records = read_records(FILES / "good.tfrecords")
    assert b"".join(map(framed, records)) == (FILES / "good.tfrecords").read_bytes()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bad_data_crc", r"record 2 \(from 0\) at byte 160: the checksum of its data"),
        ("bad_length_crc", r"record 3 \(from 0\) at byte 240: the checksum of its length"),
        ("huge_length", r"record 1 \(from 0\) at byte 80: .*a length of 1152921504606846976"),
        ("truncated", r"record 5 \(from 0\) at byte 400: .* beyond the end"),
    ],
)
def test_damage_is_told_with_file_record_and_offset(name: str, says: str) -> None:
    with pytest.raises(DataError, match=rf"{name}\.tfrecords is damaged: {says}"):
        list(read_records(FILES / f"{name}.tfrecords"))


def test_a_file_cut_inside_a_length_field_is_told(tmp_path: Path) -> None:
    cut = tmp_path / "cut.tfrecord"
    cut.write_bytes((FILES / "good.tfrecords").read_bytes()[:85])
    with pytest.raises(DataError, match=r"record 1 \(from 0\) at byte 80: .* inside its length"):
        list(read_records(cut))


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert list(read_records(tmp_path / "empty")) == []


def test_after_a_damaged_record_the_next_one_is_read() -> None:
    data = (FILES / "bad_data_crc.tfrecords").read_bytes()
    found = list(frames_of(io.BytesIO(data), "x", size_bytes=len(data)))
    assert [isinstance(one, DataError) for one in found] == [False, False, True] + [False] * 3


def test_a_file_that_is_cut_anywhere_is_told() -> None:
    data = (FILES / "good.tfrecords").read_bytes()
    for size in range(len(data)):
        for known in (size, None):
            found = list(frames_of(io.BytesIO(data[:size]), "x", size_bytes=known))
            assert isinstance(found[-1] if found else None, DataError) == (size % 80 != 0)
            assert len(found) == -(-size // 80)


def test_records_longer_than_what_is_read_at_once_are_whole() -> None:
    records = [os.urandom(size) for size in (3_000_000, 5, 1_048_576, 0)]
    data = b"".join(map(framed, records))
    assert list(records_of(io.BytesIO(data), "x", size_bytes=len(data))) == records


@pytest.mark.parametrize(
    ("rest", "says"),
    [(b"junk", "inside its length field; 4 bytes"), (bytes(100), "never written to its end")],
)
def test_what_stands_behind_the_last_record_is_told(rest: bytes, says: str) -> None:
    data = (FILES / "good.tfrecords").read_bytes() + rest
    with pytest.raises(DataError, match=rf"record 6 .*{says}"):
        list(records_of(io.BytesIO(data), "x", size_bytes=len(data)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(20), "zip"),
        (gzip.compress(b"a"), "gzip"),
        (b"\x93NUMPY\x01\x00", "numpy"),
        (b'{"a": 1}', "text"),
        (b"\xef\xbb\xbf<html>", "HTML"),
    ],
)
def test_a_file_of_another_kind_is_told(content: bytes, says: str) -> None:
    with pytest.raises(DataError, match="is no TFRecord file") as caught:
        list(records_of(io.BytesIO(content), "x", size_bytes=len(content)))
    assert says in str(caught.value)


def test_schema_manifest_and_framing_do_without_tensorflow() -> None:
    modules = ["schema", "manifest", "framing", "records", "user_code", "inference", "splits"]
    modules += ["compressed", "image_headers", "tensor_messages", "examples", "shards"]
    code = f"import sys, {', '.join('mlflow_tfconv.data.' + name for name in modules)}"
    code += "\nassert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
