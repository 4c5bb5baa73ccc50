"""The header of an .npy file: what the bytes after it are."""

from __future__ import annotations

import ast
import math
import struct
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from mlflow_tfconv.errors import DataError

_MAGIC = b"\x93NUMPY"
_MOST_HEADER_BYTES = 1_000_000
_MOST_ROW_BYTES = 2**31  # what a protocol buffer can hold


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What an .npy file holds.

    Attributes:
        dtype: Type of its elements, in their own byte order.
        shape: Rows first.
        fortran: Whether the first dimension runs fastest, so that a row's elements lie far apart.
        size_bytes: Of the header itself.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    size_bytes: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.shape[0]

    @property
    def row_elements(self) -> int:
        """Elements of a row."""
        return math.prod(self.shape[1:])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.row_elements * self.dtype.itemsize

    @property
    def data_bytes(self) -> int:
        """Bytes of all rows."""
        return self.rows * self.row_bytes


def read_header(stream: IO[bytes], shown: str) -> NpyHeader:
    """The header that stands at the beginning of a stream.

    The format: numpy.lib.format, versions 1.0 to 3.0.

    Args:
        stream: At the array's first byte; afterwards at its first element.
        shown: Which array it is, for the error.

    Raises:
        DataError: It is no .npy, holds Python objects or types that can't be stored, or has no
            rows as a number alone.
    """
    start = stream.read(8)
    if len(start) < 8 or not start.startswith(_MAGIC):
        raise _no_npy(shown, f"it begins with {start!r}" if start else "an empty file")
    wide = start[6] > 1
    length_bytes = stream.read(4 if wide else 2)
    if start[6] not in (1, 2, 3) or len(length_bytes) < (4 if wide else 2):
        raise _no_npy(shown, f"version {start[6]}.{start[7]} of the format")
    length = struct.unpack("<I" if wide else "<H", length_bytes)[0]
    if length > _MOST_HEADER_BYTES:
        raise _no_npy(shown, f"a header of {length:,} bytes")
    text = stream.read(length)
    if len(text) < length:
        raise _no_npy(shown, "it ends inside its header")
    header = _parsed(text.decode("utf-8" if start[6] == 3 else "latin-1"), shown)
    size_bytes = len(start) + len(length_bytes) + length
    return _checked(NpyHeader(*header, size_bytes=size_bytes), shown)


def _parsed(text: str, shown: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    try:
        found = ast.literal_eval(text.strip())
        dtype = np.lib.format.descr_to_dtype(found["descr"])
        shape = tuple(found["shape"])
        fortran = bool(found["fortran_order"])
    except (SyntaxError, ValueError, TypeError, KeyError, MemoryError, RecursionError) as e:
        raise _no_npy(shown, f"a header that can't be read: {text[:80]!r}") from e
    if not all(type(size) is int and size >= 0 for size in shape):
        raise _no_npy(shown, f"the shape {shape}")
    return dtype, shape, fortran


def _checked(header: NpyHeader, shown: str) -> NpyHeader:
    if header.dtype.hasobject:
        raise DataError(
            f"{shown} holds Python objects, which are pickled; loading a pickle can run any code.",
            received=f"dtype {header.dtype}",
            expected="numbers or text",
            fix="Save it as an array of numbers (texts: `array.astype(str)`), each feature for "
            "itself.",
        )
    if not header.shape:
        raise DataError(
            f"{shown} has no rows: it is a single value.",
            received=f"{header.dtype} of shape ()",
            expected="an array whose first dimension is the examples",
            fix="Leave it out: name the arrays under ingest.npy.arrays.",
        )
    parts = header.dtype.fields or {"": (header.dtype, 0)}
    unfit = [dtype for dtype, *_ in parts.values() if dtype.base.kind not in "biufcSU"]
    if unfit:
        raise DataError(
            f"{shown} has a type that can't be stored.",
            received=f"dtype {unfit[0]}",
            expected="integers, floats, bools, complex numbers or text",
            fix="Convert it, times for example with `.astype('int64')`.",
        )
    if header.row_bytes > _MOST_ROW_BYTES:
        raise DataError(
            f"{shown} has rows that are too large to be examples.",
            received=f"{header.dtype} {header.shape}: {header.row_bytes / 1e9:.1f} GB a row",
            expected="the examples in the first dimension, each below 2 GB",
            fix="Save it with the examples in the first dimension.",
        )
    return header


def _no_npy(shown: str, received: str) -> DataError:
    return DataError(
        f"{shown} is no .npy array.",
        received=received,
        expected="what numpy.save writes",
        fix="Save it again, or correct ingest.location.",
    )
