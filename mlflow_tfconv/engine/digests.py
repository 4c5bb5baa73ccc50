"""Digests of files and folders, remembered while the files' stat stays the same, as git does."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.engine.patterns import fitting, fixed_part, is_pattern
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.onnx_data import onnx_data

# A file changed within the clock's granularity of the look at it can change again unseen.
_SETTLED_NS = 2_000_000_000
_NO_DATA = {"__pycache__", "metadata", "mlruns", "mlartifacts", "mlflow.db"}


@dataclass(slots=True)
class Digests:
    """SHA-256 of content; unchanged files are not read again.

    Attributes:
        memory: The JSON file that remembers, or None to remember nothing.
        verify: Read every file, whatever is remembered.
    """

    memory: Path | None = None
    verify: bool = False
    _known: dict[str, list[Any]] = field(default_factory=dict)
    _changed: bool = False

    def __post_init__(self) -> None:
        if self.memory is not None and self.memory.is_file():
            try:
                self._known = json.loads(self.memory.read_text())
            except ValueError:
                self._known = {}

    def of(self, path: Path) -> str | None:
        """The digest of a file, a folder with all its files, a pattern's, or those with a prefix.

        An ONNX file is one with its external data. The prefix of a TensorFlow checkpoint is a name
        that no file has: `<prefix>.index` and others make it up. None when there is nothing of the
        kind.
        """
        if path.is_dir():
            return self._of_folder(path)
        if path.is_file():
            return self._of_model(path)
        return self._of_pattern(path) or self._of_prefix(path)

    def save(self) -> None:
        """Writes down what was learned."""
        if self.memory is not None and self._changed:
            write_text(self.memory, json.dumps(self._known))
            self._changed = False

    def _of_model(self, path: Path) -> str:
        try:
            data = [file for file in onnx_data(path) if file.is_file()]
        except ConversionError:  # nobody will read data that lie elsewhere
            data = []
        return self._together([path, *data], path.parent) if data else self._of_file(path)

    def _of_pattern(self, pattern: Path) -> str | None:
        found = [path for path in fitting(pattern) if path.exists()] if is_pattern(pattern) else []
        folders = [file for path in found if path.is_dir() for file in sorted(_files_below(path))]
        files = folders or found
        return self._together(files, fixed_part(pattern)) if files else None

    def _of_prefix(self, prefix: Path) -> str | None:
        found = sorted(prefix.parent.glob(f"{glob.escape(prefix.name)}.*"))
        files = [path for path in found if path.is_file()]
        return self._together(files, prefix.parent) if files else None

    def _of_folder(self, folder: Path) -> str:
        return self._together(sorted(_files_below(folder)), folder)

    def _together(self, files: Iterable[Path], folder: Path) -> str:
        whole = hashlib.sha256()
        for path in files:
            whole.update(
                f"{path.relative_to(folder).as_posix()}\0{self._of_file(path)}\n".encode(
                    errors="surrogateescape"
                )
            )
        return whole.hexdigest()

    def _of_file(self, path: Path) -> str:
        stat, key = path.stat(), str(path.absolute())
        mark = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        known = self._known.get(key)
        if known is not None and known[:-1] == mark and not self.verify:
            return str(known[-1])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NS:
            self._known[key] = [*mark, digest]
            self._changed = True
        return digest


def names_in(folder: Path) -> str | None:
    """A digest of the names in a folder; None when there is no such folder.

    Hidden ones, caches of Python and what MLflow makes come and go without meaning anything.
    """
    if not folder.is_dir():
        return None
    names = (path.name for path in folder.iterdir())
    data = sorted(name for name in names if not name.startswith(".") and name not in _NO_DATA)
    return hashlib.sha256("\0".join(data).encode(errors="surrogateescape")).hexdigest()


def _files_below(folder: Path) -> Iterator[Path]:
    """All files, those behind links too: data often lie on another disk."""
    entered: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in entered:
            folders.clear()  # a link to a folder above
            continue
        entered.add(real)
        yield from (path for name in files if (path := Path(where, name)).is_file())


def content_of(noun: Any, digests: Digests) -> str:
    """One digest of a noun and of every file and folder that it names."""
    text = json.dumps(_plain(noun, digests), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any, digests: Digests) -> Any:
    if isinstance(value, Path):
        return digests.of(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [
            type(value).__name__,
            *(_plain(getattr(value, f.name), digests) for f in dataclasses.fields(value)),
        ]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, digests) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, digests) for item in value]
    return value
