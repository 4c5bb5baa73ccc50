"""The arrays in .npy and .npz files: found by their headers, without reading them."""

from __future__ import annotations

import fnmatch
import struct
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile, reading
from mlflow_tfconv.steps.ingest.sources.npy_header import NpyHeader, read_header

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip member: signature, lengths of name and extra
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in a file.

    Attributes:
        name: The file's name without the suffix, or the member's of an .npz.
        file: The file.
        member: The member of an .npz; None for an .npy.
        header: What it is.
        offset: Where its rows begin in the file; None when they are compressed.
    """

    name: str
    file: SourceFile
    member: str | None
    header: NpyHeader
    offset: int | None

    @property
    def shown(self) -> str:
        """What a person is told."""
        return f"{self.file.shown}, array {self.name!r}" if self.member else self.file.shown

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called in a recipe: the member's name, or the file's in several ways."""
        return (self.name,) if self.member else _names(self.file)

    @property
    def any_rows(self) -> bool:
        """Whether rows can be read without those before them."""
        return self.offset is not None and not (self.header.fortran and self.file.remote)


def stored_arrays(
    files: Sequence[SourceFile], wanted: Collection[str] = ()
) -> Iterator[StoredArray]:
    """The arrays in some files, in order.

    Args:
        files: The files.
        wanted: Names or patterns of the arrays to look at; none takes all.

    Raises:
        DataError: A file is damaged or cut off, or an array is none of examples.
    """
    for file in files:
        if file.suffix == ".npz":
            with reading(file), file.open() as stream:
                yield from _members(file, stream, wanted)
        elif not wanted or fits(_names(file), wanted):
            with reading(file), file.open() as stream:
                yield _single(file, stream)


def array_names(files: Sequence[SourceFile]) -> tuple[str, ...]:
    """The names of all arrays, whatever they hold; what can't be opened has none."""
    names: set[str] = set()
    for file in files:
        if file.suffix != ".npz":
            names.add(PurePosixPath(file.name).stem)
            continue
        with suppress(zipfile.BadZipFile), reading(file), file.open() as stream:
            members = zipfile.ZipFile(stream).namelist()
            names |= {name.removesuffix(".npy") for name in members if name.endswith(".npy")}
    return tuple(sorted(names))


def fits(names: Collection[str], patterns: Collection[str]) -> bool:
    """Whether one of the patterns fits one of an array's names."""
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _names(file: SourceFile) -> tuple[str, str, str]:
    path = PurePosixPath(file.name)
    return path.stem, path.name, file.name


def _single(file: SourceFile, stream: IO[bytes]) -> StoredArray:
    header = read_header(stream, file.shown)
    _check_size(header, file.size_bytes, file.shown)
    return StoredArray(PurePosixPath(file.name).stem, file, None, header, header.size_bytes)


def _members(file: SourceFile, stream: IO[bytes], wanted: Collection[str]) -> Iterator[StoredArray]:
    try:
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                name, _, suffix = info.filename.rpartition(".")
                if suffix == "npy" and (not wanted or fits((name,), wanted)):
                    yield _member(file, archive, info, stream)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as e:
        raise DataError(
            f"{file.shown} is no .npz file, or it is damaged.",
            received=str(e),
            expected="what numpy.savez writes",
            fix="Save it again, or bring back a whole copy.",
        ) from e


def _member(
    file: SourceFile, archive: zipfile.ZipFile, info: zipfile.ZipInfo, stream: IO[bytes]
) -> StoredArray:
    name = info.filename.removesuffix(".npy")
    shown = f"{file.shown}, array {name!r}"
    if info.flag_bits & _ENCRYPTED:
        raise DataError(f"{shown} is encrypted.", fix="Save it without a password.")
    with archive.open(info) as member:
        header = read_header(member, shown)
    _check_size(header, info.file_size, shown)
    if info.compress_type != zipfile.ZIP_STORED:
        return StoredArray(name, file, info.filename, header, None)
    stream.seek(info.header_offset)
    local = stream.read(_LOCAL_HEADER.size)
    _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(local)
    offset = info.header_offset + 30 + name_bytes + extra_bytes + header.size_bytes
    return StoredArray(name, file, info.filename, header, offset)


def _check_size(header: NpyHeader, size_bytes: int | None, shown: str) -> None:
    expected = header.size_bytes + header.data_bytes
    if size_bytes is not None and size_bytes < expected:
        raise cut_off(shown, f"{size_bytes:,} bytes", header)


def cut_off(shown: str, received: str, header: NpyHeader) -> DataError:
    """The error for an array that has fewer bytes than its header says."""
    return DataError(
        f"{shown} is cut off.",
        received=received,
        expected=f"{header.size_bytes + header.data_bytes:,} bytes for {header.dtype} "
        f"{header.shape}",
        fix="Bring back a whole copy of the file, or save it again.",
    )
