"""The bytes of a file of text: decompressed, and UTF-8."""

from __future__ import annotations

import codecs
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile, reading

_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xfd7zXZ\x00": "xz",
}
_OTHERS = {
    b"PAR1": "a Parquet file: `using: parquet` reads it",
    b"PK\x03\x04": "a zip archive or an Excel file: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save it as CSV",
    b"SQLite": "an SQLite database: export its table as CSV",
}
_BOM_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FIRST_BYTES = 8
_TAIL_BYTES = 256


class TextStream:
    """A file of text, read from its start or between two places; only as far as it is asked for.

    Attributes:
        saw_quote: Whether a quote character has come by.
        last: The last character that came by and is no line break.
        tail: The last bytes that came by.
        plain: Whether its bytes are given as they are in the file.
        position: The place in the file, when it is plain, that `read` has come to.
    """

    def __init__(
        self,
        file: SourceFile,
        encoding: str = "utf-8",
        *,
        quote: str | None = '"',
        span: tuple[int, int | None] = (0, None),
    ) -> None:
        self._file = file
        self._quote = quote.encode() if quote else None
        self._bytes, self._raw = _opened(file, encoding)
        self._left: int | None = None
        if span[0]:
            self._bytes.seek(span[0])
        if span[1] is not None:
            self._left = span[1] - span[0]
        utf8 = codecs.lookup(encoding).name in ("utf-8", "ascii", "utf-8-sig")
        self._decoder = None if utf8 else codecs.getincrementaldecoder(encoding)()
        self._begin = span[0] == 0
        self._pushed = b""
        self.closed = False
        self.plain = self._bytes is self._raw and utf8
        self.position = span[0]
        self.saw_quote = False
        self.last = b""
        self.tail = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes, none at the end; a negative size is as much as comes easily.

        Raises:
            DataError: The file is damaged, gone, or of another encoding.
        """
        data, self._pushed = self._pushed, b""
        while not data:
            raw = self._next(size)
            data = self._decoded(raw)
            if not raw:
                break
            if self._begin:
                self._begin, data = False, data.removeprefix(codecs.BOM_UTF8)
        if 0 <= size < len(data):  # text becomes longer as UTF-8
            data, self._pushed = data[:size], data[size:]
        self.position += len(data)
        self._look(data)
        return data

    def push_back(self, data: bytes) -> None:
        """What was read is read again next."""
        self._pushed = data + self._pushed
        self.position -= len(data)

    def close(self) -> None:
        """Gives the file back."""
        self.closed = True
        self._bytes.close()
        self._raw.close()

    def __enter__(self) -> TextStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self, size: int) -> bytes:
        if self._left is not None:
            size = self._left if size < 0 else min(size, self._left)
        with reading(self._file), _damage(self._file):
            data = bytes(self._bytes.read(size))
        if self._left is not None:
            self._left -= len(data)
        return data

    def _decoded(self, data: bytes) -> bytes:
        if self._decoder is None:
            return data
        try:
            return self._decoder.decode(data, final=not data).encode()
        except UnicodeError as e:
            raise DataError(
                f"{self._file.shown} is no text of the encoding that is given.",
                received=str(e),
                fix="Correct the encoding.",
            ) from e

    def _look(self, data: bytes) -> None:
        if self._quote is not None and not self.saw_quote:
            self.saw_quote = self._quote in data
        self.last = data.rstrip(b"\r\n")[-1:] or self.last
        self.tail = (
            data[-_TAIL_BYTES:] if len(data) >= _TAIL_BYTES else (self.tail + data)[-_TAIL_BYTES:]
        )


@contextmanager
def _damage(file: SourceFile) -> Iterator[None]:
    """Errors of a decompressor."""
    try:
        yield
    except (OSError, EOFError, lzma.LZMAError) as e:
        if isinstance(e, OSError) and e.errno is not None:
            raise
        raise DataError(
            f"{file.shown} is damaged: it can't be decompressed.",
            received=str(e),
            fix="Fetch or write it again, or leave it out of ingest.location.",
        ) from e


def _opened(file: SourceFile, encoding: str) -> tuple[Any, Any]:
    """The file's content, decompressed where its first bytes say so; and the file itself."""
    raw = file.open()
    with reading(file):
        first = raw.read(_FIRST_BYTES)
        raw.seek(0)
        try:
            _check_first(file, first, encoding)
        except DataError:
            raw.close()
            raise
    kind = next((name for magic, name in _COMPRESSIONS.items() if first.startswith(magic)), None)
    if kind is None:
        return raw, raw
    if kind == "xz":
        return lzma.open(raw), raw
    return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), kind), raw


def _check_first(file: SourceFile, first: bytes, encoding: str) -> None:
    for magic, name in _OTHERS.items():
        if first.startswith(magic):
            raise DataError(
                f"{file.shown} is no text.",
                received=f"it begins as {name.partition(':')[0]}",
                expected="a text file, plain or compressed by gzip, bzip2, xz, zstd or lz4",
                fix=f"{name.partition(': ')[2].capitalize()}.",
            )
    if first.startswith(_BOM_UTF16) and not encoding.lower().startswith(("utf-16", "utf16", "u16")):
        raise DataError(
            f"{file.shown} is UTF-16.",
            received=f"the first bytes {first[:2].hex(' ')}, and the encoding {encoding}",
            fix="Set `encoding: utf-16` under the options of the source, or save it as UTF-8.",
        )
