"""The framing of TFRecord files, read, checked and written without TensorFlow.

A record is its length (8 bytes, little-endian), the masked CRC32C of these 8 bytes, the data and
the masked CRC32C of the data. TensorFlow 2.21 reads a file that is cut inside a length field
without an error, and crashes on a length of 2**60; so files of others are looked at here first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import google_crc32c
import numpy as np

from mlflow_tfconv.data.compressed import Readable
from mlflow_tfconv.data.no_tfrecords import what_it_is
from mlflow_tfconv.errors import DataError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK = 0xA282EAD8

#: What a record takes beside its data, in bytes.
FRAME_BYTES = _HEADER.size + _FOOTER.size

# No protobuf message is longer; a length above it is damage where a file's size is not known.
_LONGEST_RECORD_BYTES = 2**31 - 1
_READ_BYTES = 1 << 20
_LARGE_READ_BYTES = 16 << 20


def masked_crc32c(data: bytes) -> int:
    """CRC32C (Castagnoli) with the mask of TFRecords."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """A record as it stands in a TFRecord file."""
    length = len(record).to_bytes(8, "little")
    header = length + _FOOTER.pack(masked_crc32c(length))
    return header + record + _FOOTER.pack(masked_crc32c(record))


def framed_each(records: Sequence[bytes]) -> list[bytes]:
    """What `framed` gives for each record, in less time for many short ones."""
    crcs = np.fromiter(map(google_crc32c.value, records), np.uint32, len(records))
    footers = (crcs >> 15 | crcs << 17) + np.uint32(_MASK)
    headers = _Headers()
    return [
        headers[len(record)] + record + footer
        for record, footer in zip(records, footers.astype("<u4").view("V4").tolist(), strict=True)
    ]


class _Headers(dict[int, bytes]):
    """Length to the header of a record, made when it is first asked for."""

    def __missing__(self, length: int) -> bytes:
        size = length.to_bytes(8, "little")
        header = self[length] = size + _FOOTER.pack(masked_crc32c(size))
        return header


def is_header(head: bytes) -> bool:
    """Whether these first bytes of a file begin a TFRecord; of an empty file they do not."""
    if len(head) < _HEADER.size:
        return False
    _, checksum = _HEADER.unpack_from(head)
    return masked_crc32c(head[:8]) == int(checksum)


def records_of(
    file: Readable, name: str, *, size_bytes: int | None = None, unpacked: bool = False
) -> Iterator[bytes]:
    """The records of a TFRecord file, every checksum on the way checked.

    Args:
        file: Where to read, from its present position on, which is byte 0 in messages.
        name: The file's name for messages.
        size_bytes: Of all that `file` gives, where it is known.
        unpacked: Whether `file` gives what a compressed file holds; offsets are then of that.

    Raises:
        DataError: The file is damaged or no TFRecord file; names file, record (from 0) and offset.
    """
    for record in frames_of(file, name, size_bytes=size_bytes, unpacked=unpacked):
        if isinstance(record, DataError):
            raise record
        yield record


def frames_of(
    file: Readable, name: str, *, size_bytes: int | None = None, unpacked: bool = False
) -> Iterator[bytes | DataError]:
    """As `records_of`, with an error in the place of a damaged record instead of raising it.

    After a record whose data are damaged the next one follows; where a length is damaged nothing
    more can be found, so that error is the last item and says how much is lost.
    """
    return _Frames(file, name, size_bytes, unpacked).all()


def damaged_record(
    name: object, number: int, offset: int, problem: str, *, unpacked: bool = False
) -> DataError:
    """The error for a record (numbered from 0) that can't be read."""
    place = f"byte {offset}{' of the decompressed data' if unpacked else ''}"
    return DataError(
        f"{name} is damaged: record {number} (from 0) at {place}: {problem}.",
        expected="an undamaged TFRecord file",
        fix="Bring back or make anew this file; the records before this one are whole.",
    )


class _Frames:
    """Reads a file in large pieces and finds the records in them."""

    def __init__(self, file: Readable, name: str, size_bytes: int | None, unpacked: bool) -> None:
        self._file = file
        self._name = name
        self._size_bytes = size_bytes
        self._unpacked = unpacked
        self._buffer = b""
        self._at = 0  # of the next record, in the buffer
        self._offset = 0  # of the buffer, in the file
        self._number = 0
        self._failure: DataError | None = None  # of the decompression: nothing follows

    def all(self) -> Iterator[bytes | DataError]:
        """Every record, or what is wrong with it."""
        while self._has(_HEADER.size) or self._at < len(self._buffer):
            before = self._number
            yield from self._sound()
            if self._number > before:
                continue
            problem = self._problem_of_length()
            if problem:
                yield self._lost(problem)
                return
            yield self._next()
        if self._failure is not None:
            yield self._damaged(self._failure.what)

    @property
    def _place(self) -> int:
        return self._offset + self._at

    def _sound(self) -> Iterator[bytes]:
        """The records from here on that are whole in the buffer and undamaged.

        The quick way, in one loop: 1 us a record. It ends before what needs another look.
        """
        buffer, at, number, known = self._buffer, self._at, self._number, b""
        last = len(buffer) - FRAME_BYTES
        while at <= last:
            header = buffer[at : at + _HEADER.size]
            length, length_checksum = _HEADER.unpack(header)
            begin = at + _HEADER.size
            end = begin + length
            if end + _FOOTER.size > len(buffer):
                break
            if header != known and masked_crc32c(header[:8]) != length_checksum:
                break
            known = header  # neighbours are often of the same length
            record = buffer[begin:end]
            crc = google_crc32c.value(record)
            masked = ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
            if masked != _FOOTER.unpack_from(buffer, end)[0]:
                break
            yield record
            at = end + _FOOTER.size
            number += 1
        self._at, self._number = at, number

    def _next(self) -> bytes | DataError:
        length, _ = _HEADER.unpack_from(self._buffer, self._at)
        begin = self._at + _HEADER.size
        end = begin + length
        record = self._buffer[begin:end]
        error = None
        if masked_crc32c(record) != _FOOTER.unpack_from(self._buffer, end)[0]:
            error = self._damaged("the checksum of its data is wrong")
        self._number += 1
        self._at = end + _FOOTER.size
        return error or record

    def _problem_of_length(self) -> str | None:
        """What is wrong with the frame of the next record; else all of it is in the buffer."""
        if len(self._buffer) - self._at < _HEADER.size:
            return self._end_of("its length field")
        length, checksum = _HEADER.unpack_from(self._buffer, self._at)
        if masked_crc32c(self._buffer[self._at : self._at + 8]) != checksum:
            return self._wrong_header()
        whole = _HEADER.size + length + _FOOTER.size
        size_bytes = self._size_bytes
        beyond = size_bytes is not None and self._place + whole > size_bytes
        if not beyond and length > _LONGEST_RECORD_BYTES:
            return f"its length of {length} bytes is more than a record can have"
        if not beyond and self._has(whole):
            return None
        end = size_bytes if size_bytes is not None else self._offset + len(self._buffer)
        if end - self._place >= _HEADER.size + length:
            return self._end_of("the checksum of its data")
        return self._end_of(f"its data: a length of {length} bytes reaches beyond the end")

    def _end_of(self, where: str) -> str:
        if self._failure is not None:
            return self._failure.what
        return f"the file ends inside {where}"

    def _wrong_header(self) -> str:
        zeros = not any(self._buffer[self._at : self._at + _HEADER.size])
        hint = " (zeros: the file was perhaps never written to its end)" if zeros else ""
        return f"the checksum of its length is wrong{hint}"

    def _has(self, count: int) -> bool:
        """Whether so many bytes follow; reads more when they are not in the buffer."""
        if len(self._buffer) - self._at >= count:
            return True
        parts = [self._buffer[self._at :]]
        missing = count - len(parts[0])
        while missing > 0:
            part = self._read(min(max(missing, _READ_BYTES), _LARGE_READ_BYTES))
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        self._offset += self._at
        self._at = 0
        self._buffer = b"".join(parts)
        return missing <= 0

    def _read(self, count: int) -> bytes:
        if self._failure is not None:
            return b""
        try:
            return self._file.read(count)
        except DataError as e:
            self._failure = e  # what came before it is in the buffer, and good
            return b""

    def _lost(self, problem: str) -> DataError:
        if self._number == 0 and self._failure is None and not is_header(self._buffer):
            found = what_it_is(self._buffer)
            if found is not None:
                return _no_tfrecords(self._name, found)
        if self._size_bytes is not None:
            problem += f"; {self._size_bytes - self._place} bytes from there on are lost"
        return self._damaged(problem)

    def _damaged(self, problem: str) -> DataError:
        return damaged_record(
            self._name, self._number, self._place, problem, unpacked=self._unpacked
        )


def _no_tfrecords(name: str, found: tuple[str, str]) -> DataError:
    what, fix = found
    return DataError(
        f"{name} is no TFRecord file.", received=what, expected="a TFRecord file", fix=fix
    )
