from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_tfconv.data.framing import framed, masked_crc32c
from mlflow_tfconv.data.records import read_records
from mlflow_tfconv.errors import DataError

FILES = Path(__file__).parents[1] / "fixtures" / "tfrecords"


def test_the_checksum_is_that_of_tfrecords() -> None:
    header = (FILES / "good.tfrecords").read_bytes()[:12]
    assert masked_crc32c(header[:8]) == int.from_bytes(header[8:], "little")


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


def test_schema_manifest_and_framing_do_without_tensorflow() -> None:
    modules = ["schema", "manifest", "framing", "user_code", "inference", "splits"]
    code = f"import sys, {', '.join('mlflow_tfconv.data.' + name for name in modules)}"
    code += "\nassert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
