"""The shared libraries that a library is linked with, read from its ELF file. Needs nothing."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

_ELF_64_LITTLE = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC = 1, 2  # kinds of segments
_END, _NEEDED, _STRINGS = 0, 1, 5  # kinds of entries of the dynamic segment


def linked_libraries(path: Path) -> tuple[str, ...]:
    """The names that the loader must find, such as "libcudart.so.13", in the file's order.

    Source: ELF-64 Object File Format, version 1.5, and the gABI's dynamic section. A file that is
    no 64-bit little-endian ELF file, or damaged, has none.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return tuple(_needed(data)) if data[:6] == _ELF_64_LITTLE else ()
    except (OSError, ValueError, struct.error, IndexError, OverflowError, StopIteration):
        return ()


def _needed(data: mmap.mmap) -> Iterator[str]:
    segments = list(_segments(data))
    dynamic = [(at, size) for kind, at, _, size in segments if kind == _DYNAMIC]
    if not dynamic:
        return
    entries = list(_entries(data, *dynamic[0]))
    address = next(value for kind, value in entries if kind == _STRINGS)
    strings = next(
        at + address - start
        for kind, at, start, size in segments
        if kind == _LOAD and start <= address < start + size
    )
    for kind, value in entries:
        if kind == _NEEDED:
            end = data.find(b"\0", strings + value)
            yield data[strings + value : end].decode("ascii", "replace")


def _segments(data: mmap.mmap) -> Iterator[tuple[int, int, int, int]]:
    """Kind, offset in the file, address and size in the file of each."""
    (table,) = struct.unpack_from("<Q", data, 32)
    entry_size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _, at, address, _, size = struct.unpack_from(
            "<IIQQQQ", data, table + number * entry_size
        )
        yield kind, at, address, size


def _entries(data: mmap.mmap, at: int, size: int) -> Iterator[tuple[int, int]]:
    for position in range(at, at + size, 16):
        kind, value = struct.unpack_from("<qQ", data, position)
        if kind == _END:
            return
        yield kind, value
