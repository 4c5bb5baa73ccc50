"""Digests of files and folders, remembered while the files' stat stays the same, as git does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.atomic import write_text

# A file changed within the clock's granularity of the look at it can change again unseen.
_SETTLED_NS = 2_000_000_000


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
        """The digest of a file, or of a folder with all its files; None when there is neither."""
        if path.is_dir():
            return self._of_folder(path)
        return self._of_file(path) if path.is_file() else None

    def save(self) -> None:
        """Writes down what was learned."""
        if self.memory is not None and self._changed:
            write_text(self.memory, json.dumps(self._known))
            self._changed = False

    def _of_folder(self, folder: Path) -> str:
        whole = hashlib.sha256()
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            whole.update(f"{path.relative_to(folder).as_posix()}\0{self._of_file(path)}\n".encode())
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
