from __future__ import annotations

import gzip
import io
import os
import zlib

import pytest

from mlflow_tfconv.data.compressed import Decompressed, compression_of
from mlflow_tfconv.data.framing import framed, frames_of, records_of
from mlflow_tfconv.errors import DataError

RECORDS = [os.urandom(50) for _ in range(9)]
WHOLE = b"".join(map(framed, RECORDS))


def unpacked(data: bytes) -> list[bytes | DataError]:
    return list(frames_of(Decompressed(io.BytesIO(data)), "x", unpacked=True))


def test_the_compression_is_told_by_the_content() -> None:
    assert compression_of(gzip.compress(b"a")) == "gzip"
    assert [compression_of(zlib.compress(b"a", level)) for level in (0, 1, 6, 9)] == ["zlib"] * 4
    assert compression_of(b"") == compression_of(WHOLE) == compression_of(b"x,y\n") == ""


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_records_are_read_from_packed_files(pack: object) -> None:
    assert callable(pack)
    assert unpacked(pack(WHOLE)) == RECORDS


def test_gzip_streams_in_a_row_are_one_and_zeros_behind_them_are_nothing() -> None:
    assert unpacked(gzip.compress(WHOLE) * 2 + bytes(600)) == RECORDS * 2


def test_of_a_damaged_stream_all_before_the_damage_is_read() -> None:
    packed = bytearray(gzip.compress(WHOLE))
    packed[-100] ^= 0x55
    found = unpacked(bytes(packed))
    assert found[:5] == RECORDS[:5]
    assert "of the decompressed data" in str(found[-1])


def test_a_stream_that_is_cut_is_told_wherever_it_is_cut() -> None:
    packed = zlib.compress(WHOLE)
    for size in range(2, len(packed)):
        assert "the compressed file is cut" in str(unpacked(packed[:size])[-1])


def test_rubbish_behind_a_stream_is_told() -> None:
    *records, error = unpacked(gzip.compress(WHOLE) + b"rubbish")
    assert records == RECORDS
    assert "damaged behind byte" in str(error)


def test_a_large_record_of_an_unknown_length_is_read() -> None:
    large = bytes(5_000_000)
    packed = io.BytesIO(gzip.compress(framed(large)))
    assert next(records_of(Decompressed(packed), "x", unpacked=True)) == large
