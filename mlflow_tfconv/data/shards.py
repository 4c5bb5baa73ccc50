"""Serialized examples written into TFRecord shards, split by split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.manifest import Shard, content_of, file_sha256, record_digest
from mlflow_tfconv.errors import DataError

_FRAME_BYTES = 16  # length, its checksum and the data's checksum


class ShardWriter:
    """Writes the shards of one split, each complete under its name or not there at all.

    Used as a context manager; leaving it by an exception removes the unfinished shard.
    """

    def __init__(self, folder: Path, split: str, shard_bytes: int) -> None:
        self._folder = folder
        self._split = split
        self._shard_bytes = shard_bytes
        self._done: list[Shard] = []
        self._writer: Any = None
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
        size_bytes = len(record) + _FRAME_BYTES
        if self._count and self._size_bytes + size_bytes > self._shard_bytes:
            self.finish()
        try:
            if self._writer is None:
                self._writer = tf.io.TFRecordWriter(str(self._unfinished))
            self._writer.write(record)
        except tf.errors.OpError as e:
            raise self._failed(e) from e
        self._count += 1
        self._size_bytes += size_bytes
        self._content += record_digest(record)

    def finish(self) -> None:
        """Completes the present shard and gives it its name."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except tf.errors.OpError as e:
            raise self._failed(e) from e
        path = self._folder / f"{self._split}-{len(self._done):05d}.tfrecord"
        shard = Shard(
            path=path.name,
            count=self._count,
            size_bytes=self._unfinished.stat().st_size,
            sha256=file_sha256(self._unfinished),
            content=content_of(self._content),
        )
        self._unfinished.replace(path)
        self._done.append(shard)
        self._writer = None
        self._count = self._size_bytes = self._content = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self._unfinished.unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        return self._folder / f".{self._split}.unfinished"

    def _failed(self, error: Exception) -> DataError:
        return DataError(
            f"A shard of the split {self._split!r} can't be written to {self._folder}.",
            received=str(error),
            fix="Make room on the disk, then run the same command again.",
        )


@contextmanager
def split_writers(
    folder: Path, splits: Iterable[str], shard_bytes: int
) -> Iterator[dict[str, ShardWriter]]:
    """A writer for each split; all are finished together, or none when an exception leaves."""
    with ExitStack() as stack:
        yield {
            split: stack.enter_context(ShardWriter(folder, split, shard_bytes)) for split in splits
        }
