"""Unpacks a tar, a zip or a single compressed file, as the foreign input that it is.

Nothing leaves the folder, no links are made on disk (a link to a file of the archive becomes a
copy of it), and an archive that swells without measure is refused while it is read.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mlflow_tfconv.errors import ConversionError

_MOST_ENTRIES = 20_000
_LONGEST_NAME = 1_000
#: Beyond this many bytes an archive may not swell more than so many times.
_UNSUSPICIOUS_BYTES = 2_000_000_000
_LARGEST_RATIO = 100
#: What has to stay free on the disk.
_KEPT_FREE_BYTES = 500_000_000
_CHUNK = 1 << 20
#: How many refused entries are told.
_MOST_REFUSED = 10

#: First bytes of a compressed file, and who opens it.
_COMPRESSIONS: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
#: What the libraries raise for damaged archives.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)


@contextmanager
def unpacked(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """A folder with what is in an archive; it is removed afterwards.

    Args:
        path: A tar (plain, gz, bz2, xz), a zip, or a single file compressed by one of these.
        folder: Where to make the folder; None is the system's place for temporary files.

    Raises:
        ConversionError: The archive is damaged, encrypted, too large, or an entry would leave the
            folder.
    """
    with tempfile.TemporaryDirectory(prefix="tfconv-archive-", dir=folder) as made:
        unpack(path, Path(made))
        yield Path(made)


def unpack(path: Path, folder: Path) -> None:
    """Unpacks an archive into an empty folder.

    Raises:
        ConversionError: As for `unpacked`; what was unpacked until then is left there.
    """
    target = _Target(path, folder)
    try:
        with path.open("rb") as file:
            head = file.read(512)
        opener = next((opens for magic, opens in _COMPRESSIONS if head.startswith(magic)), None)
        if head.startswith(b"PK") or (opener is None and zipfile.is_zipfile(path)):
            _unpack_zip(path, target)
        elif opener is not None and not _holds_tar(path, opener):
            with opener(path, "rb") as stream:
                target.write(_inner_name(path), stream)
        else:
            _unpack_tar(path, target)
    except _DAMAGE as error:
        raise ConversionError(
            f"The archive is damaged or cut off: {path.name}.",
            received=f"{path}: {type(error).__name__}: {str(error)[:200]}",
            expected="a whole tar (plain, gz, bz2, xz), zip, or .gz of a single file",
            fix="Copy or download the file again and compare its size.",
        ) from error


@dataclass(slots=True)
class _Target:
    """The folder that is filled, and how much went into it.

    Attributes:
        archive: The archive.
        folder: The folder.
        entries: Number of entries so far.
        written_bytes: Bytes so far.
    """

    archive: Path
    folder: Path
    entries: int = 0
    written_bytes: int = 0

    def place(self, name: str) -> Path:
        """Where an entry goes.

        Raises:
            ConversionError: It would leave the folder, or there are too many.
        """
        self.entries += 1
        if self.entries > _MOST_ENTRIES:
            raise self.bomb(f"it has more than {_MOST_ENTRIES:,} entries")
        # Archives made on Windows may have backslashes between folders.
        pure = PurePosixPath(name.replace("\\", "/"))
        drive = bool(pure.parts) and ":" in pure.parts[0]
        if pure.is_absolute() or ".." in pure.parts or drive or "\0" in name:
            raise self.leaving(name)
        if len(name) > _LONGEST_NAME:
            raise self.bomb(f"an entry has a name of {len(name):,} letters")
        return self.folder / pure

    def write(self, name: str, stream: IO[bytes]) -> None:
        """Puts a file there, and counts.

        Raises:
            ConversionError: It would leave the folder, or there is too much of it.
        """
        place = self.place(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                self.written_bytes += len(chunk)
                self.require_room(0)
                file.write(chunk)

    def origin(self, name: str, link: str, symbolic: bool) -> Path:
        """What a link stands for; a symbolic one starts at its own folder.

        Raises:
            ConversionError: It is outside.
        """
        pure = PurePosixPath(link.replace("\\", "/"))
        parts: list[str] = []
        for part in (PurePosixPath(name).parent / pure if symbolic else pure).parts:
            if part == ".." and not parts:
                raise self.leaving(name, link)
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        if pure.is_absolute() or not parts:
            raise self.leaving(name, link)
        return self.folder.joinpath(*parts)

    def require_room(self, more_bytes: int) -> None:
        """Raises when so many more bytes would be too many.

        Raises:
            ConversionError: They swell without measure, or the disk is too full.
        """
        total, packed = self.written_bytes + more_bytes, self.archive.stat().st_size
        if total > _UNSUSPICIOUS_BYTES and total > _LARGEST_RATIO * packed:
            raise self.bomb(f"{packed:,} bytes would become {total:,} or more")
        free = shutil.disk_usage(self.folder).free
        if more_bytes > free - _KEPT_FREE_BYTES or free < _KEPT_FREE_BYTES:
            raise ConversionError(
                "There is too little room on the disk to unpack the archive.",
                received=f"{self.archive}: {total:,} bytes; {free:,} are free in {self.folder}",
                fix="Free some room, or name another place for temporary files in TMPDIR.",
            )

    def bomb(self, why: str) -> ConversionError:
        """The error for an archive without measure."""
        return ConversionError(
            f"This archive is refused: {why}.",
            received=str(self.archive),
            expected="the files of a model",
            fix="If it is a model after all, unpack it yourself and name the folder.",
        )

    def leaving(self, name: str, link: str | None = None) -> ConversionError:
        """The error for an entry that is no file or folder inside."""
        entry = repr(name) + (f", a link to {link!r}," if link is not None else "")
        return ConversionError(
            f"This archive is refused: its entry {entry} would leave the folder (by .., an "
            "absolute path or a link) that it is unpacked in.",
            received=f"{entry} in {self.archive}",
            expected="entries below the archive's own root",
            fix="Don't use this file; have its author pack the model again.",
        )

    def special(self, name: str, what: str) -> ConversionError:
        """The error for an entry that can't be unpacked."""
        return ConversionError(
            f"This archive is refused: its entry {name!r} is {what}.",
            received=str(self.archive),
            expected="files and folders",
            fix="Have its author pack the model again, as plain files and without a password.",
        )


def _inner_name(path: Path) -> str:
    """model.h5 for model.h5.gz."""
    return path.stem if path.suffix in (".gz", ".bz2", ".xz") else f"{path.name}.unpacked"


def _holds_tar(path: Path, opener: Any) -> bool:
    with opener(path, "rb") as stream:
        head = stream.read(512)
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _unpack_tar(path: Path, target: _Target) -> None:
    refused: list[ConversionError] = []
    links: list[tarfile.TarInfo] = []
    with tarfile.open(path, "r:*") as archive:
        for entry in archive:
            try:
                if entry.issym() or entry.islnk():
                    links.append(_checked_link(entry, target))
                else:
                    _unpack_member(archive, entry, target, checked_only=bool(refused))
            except ConversionError as error:
                refused.append(error)
            if len(refused) >= _MOST_REFUSED or (refused and entry.size > _UNSUSPICIOUS_BYTES):
                break
        if refused:
            raise _all_of(refused)
        for link in links:
            _copy_linked(link.name, link.linkname, link.issym(), target)


def _all_of(refused: list[ConversionError]) -> ConversionError:
    """The first error, which lists what the others received."""
    first = refused[0]
    received = "; ".join(dict.fromkeys(str(error.received) for error in refused))
    return ConversionError(first.what, received=received, expected=first.expected, fix=first.fix)


def _checked_link(entry: tarfile.TarInfo, target: _Target) -> tarfile.TarInfo:
    target.place(entry.name)
    target.origin(entry.name, entry.linkname, entry.issym())
    return entry


def _unpack_member(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, target: _Target, *, checked_only: bool
) -> None:
    place = target.place(entry.name)
    if not entry.isreg() and not entry.isdir():
        raise target.special(entry.name, "a device or a pipe")
    if checked_only:
        return
    if entry.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    target.require_room(0 if entry.issparse() else entry.size)
    _write_member(archive, entry, target)


def _write_member(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: _Target) -> None:
    stream = archive.extractfile(entry)
    if stream is not None:
        target.entries -= 1  # it was counted already
        target.write(entry.name, stream)


def _copy_linked(name: str, link: str, symbolic: bool, target: _Target) -> None:
    """A link to a file of the archive becomes a copy of it.

    Raises:
        ConversionError: It leads elsewhere.
    """
    origin = target.origin(name, link, symbolic)
    if not origin.is_file():
        raise target.special(name, f"a link to {link!r}, which is no file of the archive")
    target.entries -= 1
    with origin.open("rb") as stream:
        target.write(name, stream)


def _unpack_zip(path: Path, target: _Target) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            target.place(entry.filename)
            if entry.flag_bits & 1:
                raise target.special(entry.filename, "encrypted")
        target.entries = 0
        target.require_room(sum(entry.file_size for entry in entries))
        links = [entry for entry in entries if stat.S_ISLNK(entry.external_attr >> 16)]
        for entry in entries:
            if entry.is_dir():
                target.place(entry.filename).mkdir(parents=True, exist_ok=True)
            elif entry not in links:
                with archive.open(entry) as stream:
                    target.write(entry.filename, stream)
        for entry in links:
            target.place(entry.filename)
            with archive.open(entry) as stream:
                link = stream.read(_LONGEST_NAME).decode("utf-8", "replace")
            _copy_linked(entry.filename, link, True, target)
