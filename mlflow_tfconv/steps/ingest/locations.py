"""`ingest.location`: what it names on this machine."""

from __future__ import annotations

import glob
from pathlib import Path

from mlflow_tfconv.errors import DataError


def local_path(location: str, root: Path) -> str:
    """The location as a generator gets it: absolute when it is a path, as it is when it is a URL.

    Raises:
        DataError: It is a path where nothing is.
    """
    if "://" in location:
        return location
    path = root / location
    if not path.exists() and not glob.has_magic(location):
        raise _nothing_there(location, path)
    return str(path)


def tfrecord_files(location: str, root: Path) -> tuple[Path, ...]:
    """The TFRecord files that a path, a folder or a glob pattern names, in the order of names.

    Raises:
        DataError: There are none.
    """
    path = root / location
    if path.is_dir():
        found = [file for file in path.rglob("*.tfrecord*") if file.is_file()]
    elif path.is_file():
        found = [path]
    else:
        names = glob.glob(str(path), recursive=True)  # noqa: PTH207 (Path.glob takes no absolute one)
        found = [Path(name) for name in names if Path(name).is_file()]
    if not found:
        raise _nothing_there(location, path)
    return tuple(sorted(file.resolve() for file in found))


def _nothing_there(location: str, path: Path) -> DataError:
    return DataError(
        "There are no data at ingest.location.",
        received=location,
        expected=f"a file or folder, or a pattern that fits files: {path}",
        fix="Set ingest.location; a relative path starts at the recipe's folder.",
    )
