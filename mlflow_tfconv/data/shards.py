"""TFRecord files written so that each is complete under its name or not there at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import google_crc32c

from mlflow_tfconv.data.framing import framed
from mlflow_tfconv.data.manifest import Shard, content_of, record_digest
from mlflow_tfconv.errors import DataError

Compression = Literal["", "gzip"]

SUFFIXES: dict[Compression, str] = {"": ".tfrecord", "gzip": ".tfrecord.gz"}
_DISK_TAKES_NO_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GZIP_LEVEL = 6
_READ_BYTES = 1 << 20
_GZIP_WINDOW = 31  # zlib writes a gzip header then, with the time 0: the same bytes every time


class ShardFile:
    """A shard that is being written.

    Used as a context manager; leaving it without `finish` removes it.
    """

    def __init__(self, path: Path, compression: Compression = "") -> None:
        self._path = path
        self._disk = Disk(path.parent)
        self._unfinished = path.with_name(f".{path.name}.unfinished")
        self._compression = compression
        self._packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._sha256 = hashlib.sha256()
        self._crc32c = google_crc32c.Checksum()
        self._size_bytes = 0
        with self._disk.writing():
            self._file = self._unfinished.open("wb", buffering=1 << 20)

    def write(self, data: bytes) -> None:
        """Adds framed records.

        Raises:
            DataError: The disk took no more.
        """
        self._put(self._packer.compress(data) if self._compression else data)

    def finish(self, count: int, content: int) -> Shard:
        """Completes the file, lets the disk have it and gives it its name.

        Args:
            count: Number of examples in it.
            content: Sum of their digests.
        """
        if self._compression:
            self._put(self._packer.flush())
        with self._disk.writing():
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._file.close()
            self._unfinished.replace(self._path)
        return Shard(
            path=self._path.name,
            count=count,
            size_bytes=self._size_bytes,
            sha256=self._sha256.hexdigest(),
            content=content_of(content),
            crc32c=self._crc32c.hexdigest().decode(),
            compression=self._compression,
        )

    def _put(self, data: bytes) -> None:
        self._sha256.update(data)
        self._crc32c.update(data)
        self._size_bytes += len(data)
        with self._disk.writing():
            self._file.write(data)

    def __enter__(self) -> ShardFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # what a full disk did not take can't be written now either
            self._file.close()
        self._unfinished.unlink(missing_ok=True)


def shard_of_file(path: Path, name: str, count: int, content: str) -> Shard:
    """The shard that a finished, uncompressed file is; its bytes are read once.

    Args:
        path: The file.
        name: The path that the manifest gets.
        count: Number of examples in it.
        content: Sum of their digests, see `Shard.content`.
    """
    sha256, crc32c, size_bytes = hashlib.sha256(), google_crc32c.Checksum(), 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            sha256.update(data)
            crc32c.update(data)
            size_bytes += len(data)
    return Shard(
        path=name,
        count=count,
        size_bytes=size_bytes,
        sha256=sha256.hexdigest(),
        content=content,
        crc32c=crc32c.hexdigest().decode(),
    )


class ShardWriter:
    """Writes the shards of one split one after the other.

    Used as a context manager; leaving it by an exception removes the unfinished shard.
    """

    def __init__(
        self, folder: Path, split: str, shard_bytes: int, *, compression: Compression = ""
    ) -> None:
        self._folder = folder
        self._split = split
        self._shard_bytes = shard_bytes
        self._compression = compression
        self._done: list[Shard] = []
        self._stack = ExitStack()
        self._file: ShardFile | None = None
        self._count = self._size_bytes = self._content = 0

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The finished shards; all of them after `finish`."""
        return tuple(self._done)

    def write(self, record: bytes) -> None:
        """Adds a serialized example; begins a new shard when it would not fit into this one.

        Raises:
            DataError: The disk took no more.
        """
        data = framed(record)
        if self._count and self._size_bytes + len(data) > self._shard_bytes:
            self.finish()
        if self._file is None:
            path = self._folder / shard_name(self._split, len(self._done), self._compression)
            self._file = self._stack.enter_context(ShardFile(path, self._compression))
        self._file.write(data)
        self._count += 1
        self._size_bytes += len(data)
        self._content += record_digest(record)

    def finish(self) -> None:
        """Completes the present shard and gives it its name."""
        if self._file is None:
            return
        self._done.append(self._file.finish(self._count, self._content))
        self._file = None
        self._count = self._size_bytes = self._content = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if kind is None:
                self.finish()


def shard_name(split: str, number: int, compression: Compression = "") -> str:
    """The file name of a shard."""
    return f"{split}-{number:05d}{SUFFIXES[compression]}"


@dataclass(frozen=True, slots=True)
class Disk:
    """Where something large is written.

    Attributes:
        folder: The folder.
        needed_bytes: About what all of it will take, where that is known.
    """

    folder: Path
    needed_bytes: int | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What the disk does not take becomes an error that says what is free there.

        Raises:
            DataError: The disk is full, or the folder is not to be written.
        """
        try:
            yield
        except OSError as e:
            if e.errno in _DISK_TAKES_NO_MORE:
                raise self._full(e) from e
            raise DataError(
                f"The data can't be written to {self.folder}.",
                received=e.strerror or e,
                fix="Give this user the right to write there, or check the disk.",
            ) from e

    @property
    def free_bytes(self) -> int:
        """What is free there."""
        try:
            return shutil.disk_usage(self.folder).free
        except OSError:
            return 0

    def _full(self, error: OSError) -> DataError:
        needed = self.needed_bytes
        return DataError(
            f"The disk is full: the data can't be written to {self.folder}.",
            received=f"{error.strerror}, with {self.free_bytes / 1e6:,.1f} MB free",
            expected=None if needed is None else f"room for about {needed / 1e6:,.1f} MB in all",
            fix="Make room on that disk, then run the same command again: it goes on with what is "
            "not done yet.",
        )
