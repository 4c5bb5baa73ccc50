"""Whether the shards are what the manifest says; a file that was looked at once is not read again.

What tells that a file is the same is what git takes: its size, the times of its last change and its
number on the disk. It is kept beside the manifest, or in the user's cache where that is read-only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c

from mlflow_tfconv.data.manifest import (
    INGEST_AGAIN,
    Manifest,
    Shard,
    check_split,
    file_sha256,
    readable,
)
from mlflow_tfconv.data.records import read_records
from mlflow_tfconv.engine.atomic import write_text
from mlflow_tfconv.errors import DataError

_FILE = ".verified.json"
_CACHE = Path(".cache", "mlflow_tfconv", "verified")
_READ_BYTES = 1 << 20
# A file changed within the clock's granularity of the look at it can change again unseen.
_SETTLED_NS = 2_000_000_000

#: Of this process: path to the mark of what was verified.
_VERIFIED: dict[str, list[Any]] = {}


def check_unchanged(manifest: Manifest, split: str) -> None:
    """Refuses a split with a shard whose content is not that of the manifest.

    Raises:
        DataError: No such split, no examples, or a shard is missing, damaged or has changed.
    """
    check_split(manifest, split)
    shards = zip(manifest.shard_paths(split), manifest.splits[split], strict=True)
    memory = _Memory.of(manifest.folder)
    for path, shard in shards:
        mark = _mark(path, shard)
        if mark not in (_VERIFIED.get(str(path.absolute())), memory.known.get(shard.path)):
            with readable(path):
                _check_content(path, shard)
        _VERIFIED[str(path.absolute())] = mark
        memory.learn(shard.path, mark)
    memory.save()


def remember_unchanged(manifest: Manifest, splits: Iterable[str] | None = None) -> None:
    """Notes that the shards are as the manifest says, without a look: for who has written them."""
    memory = _Memory.of(manifest.folder)
    for split in manifest.splits if splits is None else splits:
        for path, shard in zip(manifest.shard_paths(split), manifest.splits[split], strict=True):
            memory.learn(shard.path, _mark(path, shard))
    memory.save()


@dataclass(slots=True)
class _Memory:
    """What was verified, on the disk.

    Attributes:
        places: Where it may be kept, the best first.
        known: Path of a shard as in the manifest to its mark.
        changed: Whether there is something to write.
    """

    places: tuple[Path, ...]
    known: dict[str, list[Any]] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def of(cls, folder: Path) -> _Memory:
        places = (folder / _FILE, *_in_cache(folder))
        found: dict[str, list[Any]] = {}
        for place in places:
            with contextlib.suppress(OSError, ValueError):
                found |= _marks(json.loads(place.read_text(encoding="utf-8")))
        return cls(places, found)

    def learn(self, path: str, mark: list[Any]) -> None:
        _, _, changed_ns, *_ = mark
        if self.known.get(path) != mark and time.time_ns() - changed_ns > _SETTLED_NS:
            self.known[path] = mark
            self.changed = True

    def save(self) -> None:
        """Writes into the first place that can be written; without one the next process reads."""
        for place in self.places if self.changed else ():
            with contextlib.suppress(OSError):
                write_text(place, json.dumps(self.known))
                return


def _in_cache(folder: Path) -> Iterator[Path]:
    """The file in the user's cache; none for a user without a home."""
    name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:32]
    with contextlib.suppress(RuntimeError):
        yield Path.home() / _CACHE / f"{name}.json"


def _marks(data: Any) -> dict[str, list[Any]]:
    return dict(data) if isinstance(data, Mapping) else {}


def _mark(path: Path, shard: Shard) -> list[Any]:
    stat = path.stat()
    changed_ns = max(stat.st_mtime_ns, stat.st_ctime_ns)
    return [stat.st_size, stat.st_mtime_ns, changed_ns, stat.st_ino, shard.sha256]


def _check_content(path: Path, shard: Shard) -> None:
    kind = "crc32c" if shard.crc32c else "sha256"
    expected = shard.crc32c or shard.sha256
    found = _file_crc32c(path) if shard.crc32c else file_sha256(path)
    if found != expected and expected:
        try:
            for _ in read_records(path):  # a damaged record is told by its number and place
                pass
        except DataError as e:
            e.fix = INGEST_AGAIN
            raise
        raise DataError(
            f"The shard {path} has changed since it was ingested: it has another content.",
            received=f"{kind} {found}",
            expected=f"{kind} {expected}",
            fix=INGEST_AGAIN,
        )


def _file_crc32c(path: Path) -> str:
    checksum, buffer = google_crc32c.Checksum(), bytearray(_READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            checksum.update(bytes(memoryview(buffer)[:count]))
    return str(checksum.hexdigest().decode())
