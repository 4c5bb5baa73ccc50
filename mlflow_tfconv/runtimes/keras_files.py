"""Looks into Keras files before anything loads them: what would leave the file is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from mlflow_tfconv.errors import ConversionError

#: zlib packs at most about a thousandfold: what claims more holds nothing of the kind.
_MOST_PACKED = 1100
_SMALL_BYTES = 2**20


def is_archive(path: Path) -> bool:
    """Whether the file is a zip archive, whatever it is called."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def is_hdf5(path: Path) -> bool:
    """Whether the file is HDF5, whatever it is called."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def archive_config(path: Path) -> Any:
    """The config of a `.keras` archive.

    Raises:
        ConversionError: An entry would leave the folder, or the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_leaving_entries(path, archive.namelist())
            return json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError) as error:
        raise unreadable(path, str(error)) from error


def archive_version(path: Path) -> str | None:
    """The version of Keras in a `.keras` archive's metadata; None when it has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            said = json.loads(archive.read("metadata.json"))
    except (zipfile.BadZipFile, KeyError, ValueError):
        return None
    version = said.get("keras_version") if isinstance(said, dict) else None
    return None if version is None else str(version)


def _refuse_leaving_entries(path: Path, names: list[str]) -> None:
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in (parts.parts or ("",))[0]:
            raise ConversionError(
                "This archive is refused: an entry would leave the folder it is unpacked in.",
                received=f"{name!r} in {path}",
                expected="entries below the archive's own root",
                fix="Don't use this file; have its author save the model again.",
            )


@contextmanager
def opened_hdf5(path: Path) -> Iterator[Any]:
    """An HDF5 file, opened for reading, that keeps everything inside itself.

    Raises:
        ConversionError: It is damaged, links to other files, or claims data that it can't hold.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(path, str(error)) from error
    with file:
        try:
            _refuse_links(path, file)
        except (OSError, RuntimeError, KeyError) as error:
            raise unreadable(path, str(error)) from error
        yield file


def hdf5_config(path: Path) -> Any:
    """The config of a whole model in an HDF5 file.

    Raises:
        ConversionError: The file is refused or damaged, or has no config.
    """
    with opened_hdf5(path) as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise ConversionError(
            "This HDF5 file holds weights only: the architecture is missing.",
            received=str(path),
            expected="a whole model, saved with model.save(), or weights beside an architecture",
            fix="Give the architecture, which is the JSON that model.to_json() wrote, or a "
            "function that builds the model: architecture=PATH_OR_FUNCTION.",
        )
    try:
        return json.loads(text)
    except ValueError as error:
        raise unreadable(path, f"its model_config is not JSON ({error})") from error


def _refuse_links(path: Path, file: h5py.File) -> None:
    """Raises when a group links to another file or a dataset keeps its bytes in one."""
    for name, group in _groups(file):
        for key in group:
            link = group.get(key, getlink=True)
            item = None if isinstance(link, h5py.ExternalLink) else group.get(key)
            if item is None or (isinstance(item, h5py.Dataset) and item.external):
                raise ConversionError(
                    "This HDF5 file is refused: it reads another file (external link or storage).",
                    received=f"{name}/{key} in {path}",
                    expected="weights inside the file itself",
                    fix="Don't use this file; have its author save the model again.",
                )


def refuse_empty_claims(path: Path, file: h5py.File) -> None:
    """Raises when a dataset claims far more data than the file holds of it.

    Raises:
        ConversionError: One does.
    """
    for name, group in _groups(file):
        for key in group:
            item = group.get(key)
            if not isinstance(item, h5py.Dataset) or item.nbytes <= _SMALL_BYTES:
                continue
            if item.nbytes > item.id.get_storage_size() * _MOST_PACKED:
                raise ConversionError(
                    f"This HDF5 file is refused: {name}/{key} claims data that it does not have.",
                    received=f"shape {item.shape} ({item.nbytes / 1e9:,.1f} GB) in {path}, of "
                    f"which {item.id.get_storage_size():,} bytes are stored",
                    expected="weights that are stored",
                    fix="Don't use this file; have its author save the model again.",
                )


def _groups(group: h5py.Group, name: str = "") -> Iterator[tuple[str, h5py.Group]]:
    yield name, group
    for key in group:
        if group.get(key, getclass=True, getlink=True) is h5py.HardLink and isinstance(
            group[key], h5py.Group
        ):
            yield from _groups(group[key], f"{name}/{key}")


def lambda_names(config: Any) -> Iterator[str]:
    """Names of Lambda layers, and of functions written as bytecode, anywhere in a config."""
    if isinstance(config, list):
        for item in config:
            yield from lambda_names(item)
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            inner = config.get("config")
            yield str(inner.get("name", "lambda") if isinstance(inner, dict) else "lambda")
        for item in config.values():
            yield from lambda_names(item)


def unreadable(path: Path, why: str) -> ConversionError:
    """The error for a file that can't be read."""
    return ConversionError(
        "The Keras file is damaged or cut off.",
        received=f"{path}: {why}",
        fix="Copy or download the file again and compare its size.",
    )
