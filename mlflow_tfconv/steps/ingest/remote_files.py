"""Which files of a storage a URL names."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from mlflow_tfconv.engine.secrets import without_secrets
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.remote_access import file_system, identity_of, remote_errors
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.which_files import is_marker, wanted

_WEB = ("http", "https")  # there `?` begins a query
_FIRST_MAGIC = re.compile(r"[*?\[]")


def remote_files(
    url: str, suffixes: tuple[str, ...], storage_options: Mapping[str, Any]
) -> tuple[SourceFile, ...]:
    """The files that a URL of an object, a folder or a pattern names; none when nothing is there.

    Raises:
        DataError: There is no such bucket, it may not be read, or the network fails.
        MissingLibraryError: The library for such URLs is not installed.
    """
    system, path = file_system(url, storage_options)
    with remote_errors(without_secrets(url, storage_options)):
        if not _is_pattern(url) or system.exists(path):
            return _at(system, path, url, suffixes, storage_options)
        fixed = path[: _first_magic(path)].rpartition("/")[0]
        infos = system.glob(path, detail=True)
        if not infos:
            system.info(fixed)  # the bucket or the folder may be missing, which a pattern hides
    found = {_relative(name, fixed): info for name, info in infos.items() if info["type"] == "file"}
    kept = [name for name in found if not is_marker(name)]
    files = {name: found[name] for name in wanted(kept, suffixes)}
    return _source_files(system, files, storage_options)


def _at(
    system: Any, path: str, url: str, suffixes: tuple[str, ...], storage_options: Mapping[str, Any]
) -> tuple[SourceFile, ...]:
    """The object of that name, or all below the folder."""
    info = system.info(path)
    if info.get("mimetype") == "text/html":
        raise _web_page(without_secrets(url, storage_options))
    if info["type"] == "file":
        return (_source_file(PurePosixPath(urlsplit(url).path).name, url, info, storage_options),)
    found = {_relative(name, path): info for name, info in system.find(path, detail=True).items()}
    low = tuple(suffix.lower() for suffix in suffixes)
    kept = sorted(
        name for name in found if not is_marker(name) and (not low or name.lower().endswith(low))
    )
    return _source_files(system, {name: found[name] for name in kept}, storage_options)


def _source_files(
    system: Any, infos: Mapping[str, Any], storage_options: Mapping[str, Any]
) -> tuple[SourceFile, ...]:
    found = []
    for name, info in infos.items():
        if info.get("size") == 0 and info["name"].endswith("/"):
            continue  # a "folder" that a console has made
        url = system.unstrip_protocol(info["name"])
        known = info if info.get("size") is not None else system.info(info["name"])
        found.append(_source_file(name, url, known, storage_options))
    return tuple(found)


def _source_file(
    name: str, url: str, info: Mapping[str, Any], storage_options: Mapping[str, Any]
) -> SourceFile:
    return SourceFile(
        name=name,
        shown=without_secrets(url, storage_options),
        url_or_path=url,
        size_bytes=info.get("size"),
        identity=identity_of(info),
        storage_options=storage_options,
    )


def _web_page(shown: str) -> DataError:
    return DataError(
        f"{shown} is a web page.",
        received="text/html",
        expected="a file of data, or a pattern of files that a page links to, such as URL/*.csv",
        fix="Give the URL of the file itself; on GitHub that is the one behind `Raw`.",
    )


def _is_pattern(url: str) -> bool:
    return "*" in url if urlsplit(url).scheme in _WEB else glob.has_magic(url)


def _first_magic(path: str) -> int:
    found = _FIRST_MAGIC.search(path)
    return found.start() if found else len(path)


def _relative(name: str, base: str) -> str:
    return name.removeprefix(base.rstrip("/")).lstrip("/")
