"""TensorFlow's table file: sorted keys with values, in checksummed blocks.

The index of a V2 checkpoint is one, and a V1 checkpoint is one as a whole. The format is LevelDB's
(https://github.com/google/leveldb/blob/main/doc/table_format.md). It is read here, and not by
TensorFlow, so that every offset and checksum is known to be right before TensorFlow sees the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from mlflow_tfconv.data.framing import masked_crc32c
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.damaged_file import damaged_file, require_content
from mlflow_tfconv.sources.checkpoints.snappy_block import snappy_block, varint

MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5


def is_table(path: Path) -> bool:
    """Whether the file ends as a table does."""
    if not path.is_file() or path.stat().st_size < _FOOTER_BYTES:
        return False
    with path.open("rb") as file:
        file.seek(-len(MAGIC), 2)
        return file.read() == MAGIC


class SortedTable:
    """A table file whose end and whose list of blocks were found to be whole.

    Args:
        path: The file.

    Raises:
        ConversionError: The file is empty, cut off or altered.
    """

    def __init__(self, path: Path) -> None:
        self._path = require_content(path)
        self._size = path.stat().st_size
        self._blocks = [self._handle(value)[:2] for _, value in self._entries(self._index())]
        for offset, size in self._blocks:
            self._require_inside(offset, size)

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys with their values, in order.

        Raises:
            ConversionError: A block's checksum or an entry is wrong.
        """
        for offset, size in self._blocks:
            yield from self._entries(self._block(offset, size))

    def first_value(self) -> bytes:
        """The value of the empty key, which describes the file.

        Raises:
            ConversionError: The first entry has another key, or its block is altered.
        """
        for key, value in self.entries():
            if not key:
                return value
            break
        raise self._damaged("its first entry does not describe the file")

    def _index(self) -> bytes:
        with self._path.open("rb") as file:
            file.seek(max(0, self._size - _FOOTER_BYTES))
            footer = file.read(_FOOTER_BYTES)
        if len(footer) < _FOOTER_BYTES or not footer.endswith(MAGIC):
            raise self._damaged("it does not end as a table of TensorFlow ends")
        _, _, end = self._handle(footer)
        offset, size, _ = self._handle(footer[end:])
        return self._block(offset, size)

    def _handle(self, data: bytes) -> tuple[int, int, int]:
        """Offset and size of a block, and where the handle ends."""
        try:
            offset, at = varint(data, 0)
            size, at = varint(data, at)
        except ValueError as error:
            raise self._damaged(f"the place of a block can't be read: {error}") from error
        return offset, size, at

    def _require_inside(self, offset: int, size: int) -> None:
        beyond = offset + size + _TRAILER_BYTES + _FOOTER_BYTES - self._size
        if beyond > 0:
            raise self._damaged(f"a block reaches {beyond:,} bytes beyond the end")

    def _block(self, offset: int, size: int) -> bytes:
        self._require_inside(offset, size)
        with self._path.open("rb") as file:
            file.seek(offset)
            block = file.read(size + _TRAILER_BYTES)
        content, kind = block[:size], block[size]
        if masked_crc32c(block[: size + 1]) != struct.unpack("<I", block[size + 1 :])[0]:
            raise self._damaged(f"checksum mismatch in the block at byte {offset:,}")
        try:
            return snappy_block(content) if kind == 1 else content
        except ValueError as error:
            raise self._damaged(f"the block at byte {offset:,} can't be read: {error}") from error

    def _entries(self, block: bytes) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from _entries(block)
        except (ValueError, struct.error) as error:
            raise self._damaged(f"a block's entries can't be read: {error}") from error

    def _damaged(self, problem: str) -> ConversionError:
        return damaged_file(self._path, problem)


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys share their beginning with the key before; restart points are not needed here."""
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise ValueError("it has more restart points than room")
    key, at = b"", 0
    while at < end:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or at + own + length > end:
            raise ValueError("an entry reaches beyond its block")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length
