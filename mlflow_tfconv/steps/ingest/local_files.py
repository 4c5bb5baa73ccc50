"""Which files of this machine a location names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mlflow_tfconv.engine.patterns import fitting, fixed_part, is_pattern
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.which_files import is_marker, wanted


def local_files(location: str, root: Path, suffixes: tuple[str, ...]) -> tuple[SourceFile, ...]:
    """The files that a path, a folder or a pattern names; none when nothing is there.

    A path that exists is meant literally, whatever characters it holds.

    Raises:
        DataError: A folder may not be listed, a link leads nowhere, or it is no regular file.
    """
    path = root / Path(location).expanduser()
    if path.is_dir():
        return _below(path, path, root, suffixes)
    if path.exists() or path.is_symlink():
        return (_source_file(path, path.parent, root),)
    if not is_pattern(path):
        return ()
    fixed = fixed_part(path)
    kept = [found for found in fitting(path) if not is_marker(_relative(found, fixed))]
    if all(found.is_dir() for found in kept):
        return tuple(file for folder in kept for file in _below(folder, fixed, root, suffixes))
    names = wanted([_relative(file, fixed) for file in kept], suffixes)
    return tuple(_source_file(fixed / name, fixed, root) for name in names)


def _below(
    folder: Path, base: Path, root: Path, suffixes: tuple[str, ...]
) -> tuple[SourceFile, ...]:
    names = [_relative(file, base) for file in _walk(folder)]
    low = tuple(suffix.lower() for suffix in suffixes)
    kept = [name for name in names if not low or name.lower().endswith(low)]
    return tuple(_source_file(base / name, base, root) for name in sorted(kept))


def _walk(folder: Path) -> Iterator[Path]:
    """All files below that are no markers, those behind links too: data often lie elsewhere."""
    entered: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True, onerror=_not_listed):
        real = os.path.realpath(where)
        if real in entered:
            folders.clear()  # a link to a folder above
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not is_marker(name))
        yield from (Path(where, name) for name in files if not is_marker(name))


def _not_listed(error: OSError) -> None:
    raise DataError(
        f"The folder {error.filename} can't be listed.",
        received=error.strerror,
        fix="Give this user the right to read it, or leave it out of ingest.location.",
    ) from error


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix()


def _source_file(path: Path, base: Path, root: Path) -> SourceFile:
    shown = _shown(path, root)
    try:
        found = path.stat()
    except OSError as e:
        leads = f"a link to {path.readlink()}" if path.is_symlink() else (e.strerror or str(e))
        raise DataError(
            f"{shown} leads nowhere." if path.is_symlink() else f"{shown} can't be read.",
            received=leads,
            fix="Mend the link, or leave it out of ingest.location.",
        ) from e
    if not stat.S_ISREG(found.st_mode):
        raise DataError(
            f"{shown} is no regular file.",
            received=stat.filemode(found.st_mode),
            expected="a file: it is read more than once, and at any place",
            fix="Write its content into a file first.",
        )
    return SourceFile(
        name=_relative(path, base),
        shown=shown,
        url_or_path=str(path),
        size_bytes=found.st_size,
        identity={"size": found.st_size, "mtime_ns": found.st_mtime_ns},
    )


def _shown(path: Path, root: Path) -> str:
    inside = path.is_relative_to(root)
    return PurePosixPath(path.relative_to(root) if inside else path).as_posix()
