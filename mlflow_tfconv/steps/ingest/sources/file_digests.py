"""Checksums of a file, taken while it is read for something else, and noted for later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c

from mlflow_tfconv.engine.atomic import write_text

_READ_BYTES = 1 << 20


class DigestedFile:
    """A file that is read from its beginning to its end, and digested on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256, self._crc32c = hashlib.sha256(), google_crc32c.Checksum()
        self._size_bytes = 0

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        data = self._file.read(size)
        self._sha256.update(data)
        self._crc32c.update(data)
        self._size_bytes += len(data)
        return data

    @property
    def digests(self) -> dict[str, Any]:
        """`sha256`, `crc32c` and `size_bytes` of what was read, as a `Shard` has them."""
        return {
            "sha256": self._sha256.hexdigest(),
            "crc32c": self._crc32c.hexdigest().decode(),
            "size_bytes": self._size_bytes,
        }


def note_digests(
    folder: Path, number: int, identity: Mapping[str, Any], digests: Mapping[str, Any]
) -> None:
    """Writes down the digests of a file, with what tells that it is unchanged."""
    note = {"identity": dict(identity), "digests": dict(digests)}
    write_text(folder / _name(number), json.dumps(note))


def noted_digests(
    folder: Path, number: int, identity: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    """The digests that were written down; without a note for the file as it is, it is read."""
    try:
        note = json.loads((folder / _name(number)).read_text())
        if note["identity"] == dict(identity):
            return dict(note["digests"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no note, or half of one: nothing is lost but time
    with path.open("rb") as opened:
        file = DigestedFile(opened)
        while file.read(_READ_BYTES):
            pass
    return file.digests


def _name(number: int) -> str:
    return f"file-{number:06d}.digests.json"
