"""Gzip and zlib streams, decompressed on the way, in little memory."""

from __future__ import annotations

import zlib
from typing import Literal, Protocol

from mlflow_tfconv.errors import DataError

Compression = Literal["", "gzip", "zlib"]

_READ_BYTES = 1 << 18
_EITHER_HEADER = zlib.MAX_WBITS + 32


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; fewer, or none, only at the end."""


def compression_of(head: bytes) -> Compression:
    """The compression that a file's first bytes show.

    The length of a TFRecord can look like zlib's two bytes: look for a whole header of it first.
    """
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    # RFC 1950: deflate, a window of 32 KB, no dictionary, and together a multiple of 31.
    return "zlib" if head[:2] in (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda") else ""


class Decompressed:
    """What a gzip or zlib file holds; several gzip streams in a row are one."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._stream = zlib.decompressobj(_EITHER_HEADER)
        self._rest = b""  # compressed bytes that were read and not used
        self._read_bytes = 0
        self._begun = False  # whether the present stream has had any bytes
        self._damage: DataError | None = None

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none only at the end.

        Raises:
            DataError: The compressed bytes are damaged or cut.
        """
        while self._damage is None:
            if not self._rest and not self._fill():
                return b""
            if not self._begun and not self._begin():
                continue
            data = self._decompress(size)
            if data:
                return data
        raise self._damage

    def _fill(self) -> bool:
        self._rest = self._file.read(_READ_BYTES)
        self._read_bytes += len(self._rest)
        if not self._rest and self._begun:
            raise DataError(f"the compressed file is cut after {self._read_bytes} bytes")
        return bool(self._rest)

    def _begin(self) -> bool:
        """Skips the zeros that may pad a file behind a gzip stream."""
        if self._read_bytes > len(self._rest):
            self._rest = self._rest.lstrip(b"\0")
        self._begun = bool(self._rest)
        return self._begun

    def _decompress(self, size: int) -> bytes:
        before = self._stream.copy()
        try:
            data = self._stream.decompress(self._rest, size)
        except zlib.error as e:
            place = self._read_bytes - len(self._rest)
            self._damage = DataError(f"the compressed data are damaged behind byte {place}: {e}")
            return _until_damage(before, self._rest)
        self._rest = self._stream.unconsumed_tail
        if self._stream.eof:
            self._rest = self._stream.unused_data
            self._stream = zlib.decompressobj(_EITHER_HEADER)
            self._begun = False
        return data


def _until_damage(stream: zlib._Decompress, data: bytes) -> bytes:
    """What can be had of data that are damaged somewhere, byte by byte."""
    found = bytearray()
    try:
        for at in range(len(data)):
            found += stream.decompress(data[at : at + 1])
    except zlib.error:
        pass  # all before it is good
    return bytes(found)
