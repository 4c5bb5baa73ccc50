"""Rows of arrays in files, some at a time.

The files are read, not mapped: pages of a mapped file count as this process's memory for as long as
they are mapped, and neither a server's file nor a compressed one can be mapped.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import numpy as np

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import reading
from mlflow_tfconv.steps.ingest.sources.npy_arrays import StoredArray, cut_off

Block = np.ndarray[Any, Any]

_COPY_BYTES = 4 * 2**20


def row_blocks(
    array: StoredArray, start: int, stop: int, rows: int
) -> Generator[Block, None, None]:
    """The rows from start to stop, so many at a time: (rows, ...), the last with fewer.

    Raises:
        DataError: The file is damaged, or shorter than it was.
    """
    with reading(array.file), _opened(array) as (stream, offset):
        for first in range(start, stop, rows):
            count = min(rows, stop - first)
            read = _columns if array.header.fortran else _rows
            yield read(array, stream, offset, first, count)


@contextmanager
def _opened(array: StoredArray) -> Iterator[tuple[IO[bytes], int | None]]:
    """A stream, and where in it the rows begin: None for one that can only be read in order."""
    with ExitStack() as stack:
        if array.any_rows:
            yield stack.enter_context(array.file.open()), array.offset
            return
        stream = stack.enter_context(_unpacked(array))
        if not array.header.fortran:
            yield stream, None
            return
        copy = stack.enter_context(tempfile.TemporaryFile(prefix="tfconv-"))
        while chunk := _read(array, stream, _COPY_BYTES):
            copy.write(chunk)
        yield copy, 0


@contextmanager
def _unpacked(array: StoredArray) -> Iterator[IO[bytes]]:
    """The array's bytes from its first row on."""
    with array.file.open() as stream:
        if array.member is None or array.offset is not None:
            stream.seek(array.offset or 0)
            yield stream
            return
        with zipfile.ZipFile(stream) as archive, archive.open(array.member) as member:
            _read(array, member, array.header.size_bytes)
            yield member


def _rows(
    array: StoredArray, stream: IO[bytes], offset: int | None, first: int, count: int
) -> Block:
    header = array.header
    if offset is not None:
        stream.seek(offset + first * header.row_bytes)
    data = _exactly(array, stream, count * header.row_bytes)
    return np.frombuffer(data, header.dtype, count * header.row_elements).reshape(
        count, *header.shape[1:]
    )


def _columns(
    array: StoredArray, stream: IO[bytes], offset: int | None, first: int, count: int
) -> Block:
    """Rows whose elements lie as far apart as there are rows: gathered column by column."""
    header = array.header
    item = header.dtype.itemsize
    columns = np.empty((header.row_elements, count), header.dtype)
    for column in range(header.row_elements):
        stream.seek((offset or 0) + (column * header.rows + first) * item)
        columns[column] = np.frombuffer(_exactly(array, stream, count * item), header.dtype)
    return np.ascontiguousarray(columns.T.reshape((count, *header.shape[1:]), order="F"))


def _exactly(array: StoredArray, stream: IO[bytes], size_bytes: int) -> bytes:
    data = _read(array, stream, size_bytes)
    if len(data) < size_bytes:
        raise cut_off(
            array.shown, f"an end {size_bytes - len(data):,} bytes too early", array.header
        )
    return data


def _read(array: StoredArray, stream: IO[bytes], size_bytes: int) -> bytes:
    try:
        return stream.read(size_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError) as e:
        raise DataError(
            f"{array.shown} is damaged.",
            received=str(e),
            fix="Bring back a whole copy of the file, or save it again.",
        ) from e
