"""Many small files as few pieces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.source import Piece

#: About what a file gives in the shards, in bytes.
Gives = Callable[[SourceFile], int]

MOST_BYTES = 32_000_000
MOST_FILES = 1024


def in_mixed_order(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files in an order that hangs on their names alone and has nothing to do with them.

    Images lie class by class; in that order each shard would hold one class, and training would
    see nothing else for a long time.
    """
    return sorted(files, key=lambda file: (_place(file.name), file.name))


def file_groups(files: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
    """Neighbours of about 32 MB together, and of 1024 files at most."""
    group: list[SourceFile] = []
    size_bytes = 0
    for file in files:
        more = file.size_bytes or MOST_BYTES // MOST_FILES
        if group and (len(group) == MOST_FILES or size_bytes + more > MOST_BYTES):
            yield group
            group, size_bytes = [], 0
        group.append(file)
        size_bytes += more
    if group:
        yield group


def piece_of(
    group: Sequence[SourceFile],
    number: int,
    arguments: dict[str, Any],
    gives: Gives = lambda file: file.size_bytes or 0,
) -> Piece:
    """A piece of some files: the first of them, and how many follow, name it."""
    more = f" and {len(group) - 1:,} more" if len(group) > 1 else ""
    return Piece(
        name=f"{number}: {group[0].shown}{more}",
        arguments=arguments,
        identity={"files": identity_of_files(group)},
        size_bytes=sum(map(gives, group)),
    )


def identity_of_files(files: Iterable[SourceFile]) -> str:
    """32 hex digits that change when one of the files does."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(json.dumps([file.name, dict(file.identity)], sort_keys=True).encode())
    return digest.hexdigest()


def _place(name: str) -> bytes:
    return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
