"""The serialized examples of TFRecord files, every checksum on the way checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mlflow_tfconv.data.compressed import Compression, Decompressed, Readable, compression_of
from mlflow_tfconv.data.framing import frames_of, is_header
from mlflow_tfconv.data.manifest import Manifest, check_split
from mlflow_tfconv.errors import DataError

_HEAD_BYTES = 12


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file, plain or compressed, one after the other.

    Raises:
        DataError: The file is damaged or no TFRecord file; names file, record and offset.
    """
    with path.open("rb", buffering=0) as file:
        compression = compression_at(file)
        for record in frames_in(file, str(path), compression, path.stat().st_size):
            if isinstance(record, DataError):
                raise record
            yield record


def compression_at(file: BinaryIO) -> Compression:
    """How a TFRecord file is compressed, told from its first bytes; its position stays at 0."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    return "" if is_header(head) else compression_of(head)


def frames_in(
    file: Readable, name: str, compression: Compression, size_bytes: int | None = None
) -> Iterator[bytes | DataError]:
    """The records of an open file, with an error in the place of each that is damaged."""
    if compression:
        return frames_of(Decompressed(file), name, unpacked=True)
    return frames_of(file, name, size_bytes=size_bytes)


def find_damage(manifest: Manifest, split: str) -> DataError | None:
    """What is wrong with the files of a split, or None.

    For the moment after TensorFlow has stopped with a DataLossError, which names no file.
    """
    try:
        check_split(manifest, split)
        for path in manifest.shard_paths(split):
            for _ in read_records(path):
                pass
    except DataError as e:
        return e
    return None
