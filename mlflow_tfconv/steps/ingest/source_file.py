"""A file that data are read from, here or elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.remote_access import open_remote, remote_errors

_COPY_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a source; plain values, so that it travels to the process that reads it.

    Attributes:
        name: Its path below the location that names it, with `/`; the file's name when the location
            is the file itself.
        shown: What a person is told: the path from the recipe's folder, or the URL without what is
            secret in it.
        url_or_path: What opens it.
        size_bytes: Its size; None when a server does not tell.
        identity: What tells that it is unchanged: size and time of the last change, or the entity
            tag of a server.
        storage_options: What fsspec gets for a URL.
    """

    name: str
    shown: str
    url_or_path: str
    size_bytes: int | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def remote(self) -> bool:
        """Whether it is read over the network."""
        return "://" in self.url_or_path

    @property
    def suffix(self) -> str:
        """The last suffix of its name, in small letters: ".csv"."""
        return PurePosixPath(self.name).suffix.lower()

    def open(self) -> BinaryIO:
        """The file, opened for reading bytes at any place.

        Raises:
            DataError: It is gone, may not be read, or the network fails.
        """
        if self.remote:
            return open_remote(self.url_or_path, self.shown, self.storage_options)
        try:
            return Path(self.url_or_path).open("rb")
        except OSError as e:
            raise _unreadable(self.shown, e) from e

    @contextmanager
    def local(self) -> Iterator[Path]:
        """The file on this machine: itself, or a copy that lasts as long as the context.

        Raises:
            DataError: It is gone, may not be read, or the network fails.
        """
        if not self.remote:
            yield Path(self.url_or_path)
            return
        with tempfile.TemporaryDirectory(prefix="tfconv-") as folder:
            path = Path(folder, PurePosixPath(self.name).name)
            with path.open("wb") as target:
                for chunk in self._chunks():
                    target.write(chunk)
            yield path

    def _chunks(self) -> Iterator[bytes]:
        with self.open() as source:
            while True:
                with remote_errors(self.shown):
                    chunk = source.read(_COPY_BYTES)
                if not chunk:
                    return
                yield chunk


def _unreadable(shown: str, error: OSError) -> DataError:
    denied = isinstance(error, PermissionError)
    gone = isinstance(error, FileNotFoundError)
    return DataError(
        f"{shown} may not be read." if denied else f"{shown} can't be read.",
        received=f"there is nothing at {error.filename}"
        if gone
        else (error.strerror or str(error)),
        fix="Give this user the right to read it."
        if denied
        else "Check the path: is it complete, and does it start at the right folder?"
        if gone
        else "Check the file and its disk.",
    )


def reading(file: SourceFile) -> AbstractContextManager[None]:
    """A context in which errors of a disk or a network become a DataError that names the file."""
    return remote_errors(file.shown) if file.remote else _local_errors(file.shown)


@contextmanager
def _local_errors(shown: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise _unreadable(shown, e) from e
