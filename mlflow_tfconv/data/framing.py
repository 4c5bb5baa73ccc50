"""The framing of a TFRecord file, checked without TensorFlow.

A record is its length (8 bytes, little-endian), the masked CRC32C of these 8 bytes, the data and
the masked CRC32C of the data. TensorFlow 2.21 reads a file that is cut inside a length field
without an error, and crashes on a length of 2**60; so the lengths are looked at first. Checksums of
the data are left to TensorFlow, see `records.py`.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from mlflow_tfconv.errors import DataError

_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4


def record_offsets(path: Path) -> list[int]:
    """Where each record of the file begins, in bytes.

    Raises:
        DataError: A length's checksum is wrong, a length points beyond the end of the file, or the
            file is cut; names file, record (from 0) and byte offset.
    """
    if path.stat().st_size == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return list(_offsets(path, data))


def masked_crc32c(data: bytes) -> int:
    """CRC32C (Castagnoli) with the mask of TFRecords; meant for short data."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def damaged_record(path: Path, number: int, offset: int, problem: str) -> DataError:
    """The error for a record (numbered from 0) that can't be read."""
    return DataError(
        f"{path} is damaged: record {number} (from 0) at byte {offset}: {problem}.",
        expected="an undamaged, uncompressed TFRecord file",
        fix="Bring back or make anew this file; the records before this one are whole.",
    )


def _offsets(path: Path, data: mmap.mmap) -> Iterator[int]:
    offset, number, size = 0, -1, len(data)
    known: dict[bytes, int] = {}
    while offset < size:
        number += 1
        header = data[offset : offset + _HEADER.size]
        if len(header) < _HEADER.size:
            raise damaged_record(path, number, offset, "the file ends inside its length field")
        length, checksum = _HEADER.unpack(header)
        if header not in known:
            if masked_crc32c(header[:8]) != checksum:
                raise damaged_record(path, number, offset, "the checksum of its length is wrong")
            known = {header: length}  # neighbours are often of the same length
        end = offset + _HEADER.size + length + _FOOTER_BYTES
        if end > size:
            missing = f"its length of {length} bytes reaches beyond the end of the file"
            raise damaged_record(path, number, offset, missing)
        yield offset
        offset = end


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0x82F63B78 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()
