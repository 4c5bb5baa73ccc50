"""`ingest.location`: what it names, on this machine or elsewhere."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.secrets import without_secrets
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.local_files import local_files
from mlflow_tfconv.steps.ingest.local_locations import is_url
from mlflow_tfconv.steps.ingest.remote_files import remote_files
from mlflow_tfconv.steps.ingest.source_file import SourceFile

__all__ = ["SourceFile", "local_path", "remote_content", "source_files"]


def source_files(
    location: str | tuple[str, ...],
    root: Path,
    *,
    suffixes: tuple[str, ...] = (),
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[SourceFile, ...]:
    """The files that a location names: of each in turn in the order of their names, each once.

    A folder gives the files with one of the suffixes in it and below it, without hidden ones and
    markers such as `_SUCCESS`. A pattern (`*`, `?`, `[...]`, and `**` for any folders) gives the
    files that it fits, or, where it fits folders only, those in them.

    Args:
        location: Paths from the root, patterns, or URLs; one or several.
        root: The recipe's folder.
        suffixes: Such as ".csv" and ".csv.gz", in small letters; none takes every file.
        storage_options: What fsspec gets for URLs.

    Raises:
        DataError: Nothing is there, or it can't be looked at.
        MissingLibraryError: It is a URL whose library is not installed.
    """
    found: dict[str, SourceFile] = {}
    for one in (location,) if isinstance(location, str) else location:
        files = (
            remote_files(one, suffixes, storage_options or {})
            if is_url(one)
            else local_files(one.removeprefix("file://"), root, suffixes)
        )
        if not files:
            raise _no_files(one, root, suffixes)
        for file in files:
            found.setdefault(file.url_or_path, file)
    return tuple(found.values())


def remote_content(
    locations: tuple[str, ...], storage_options: Mapping[str, Any]
) -> dict[str, str]:
    """The URLs among the locations, without secrets, to a digest that changes with their content.

    Nothing is read: names, sizes and entity tags (or times) of the files are asked for.

    Raises:
        DataError: Nothing is there, or the network fails.
        MissingLibraryError: The library for such URLs is not installed.
    """
    found: dict[str, str] = {}
    for url in filter(is_url, locations):
        files = source_files(url, Path(), storage_options=storage_options)
        known = json.dumps([[file.name, dict(file.identity)] for file in files], sort_keys=True)
        shown = without_secrets(url, storage_options)
        found[shown] = hashlib.sha256(f"{found.get(shown)}{known}".encode()).hexdigest()
    return found


def local_path(location: str, root: Path) -> str:
    """The location as a generator gets it: absolute when it is a path, as it is when it is a URL.

    Raises:
        DataError: It is a path where nothing is.
    """
    if "://" in location:
        return location
    path = root / Path(location).expanduser()
    if not path.exists() and not glob.has_magic(location):
        raise _no_files(location, root, ())
    return str(path)


def _no_files(location: str, root: Path, suffixes: tuple[str, ...]) -> DataError:
    plain = dict.fromkeys(s for s in suffixes if s.count(".") == 1)
    kinds = f" {', '.join(plain)}" if plain else ""
    where = location if is_url(location) else str(root / Path(location).expanduser())
    meant = "" if where == location else f", which is {without_secrets(where)}"
    there = not is_url(location) and Path(where).is_dir()
    return DataError(
        "There are no data at ingest.location.",
        received=f"{without_secrets(location)}{meant}{': a folder without such files' * there}",
        expected=f"a file, a folder with{kinds} files, or a pattern that fits files",
        fix="Set ingest.location; a relative path starts at the recipe's folder.",
    )
