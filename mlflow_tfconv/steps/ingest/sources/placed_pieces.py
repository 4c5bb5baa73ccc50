"""Files in folders as pieces, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.file_groups import (
    Gives,
    file_groups,
    in_mixed_order,
    piece_of,
)
from mlflow_tfconv.steps.ingest.sources.folder_layout import FolderLayout
from mlflow_tfconv.steps.ingest.sources.source import Piece


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file of a piece.

    Attributes:
        file: The file.
        index: Of its class; None without classes.
        split: The split that its folder says.
    """

    file: SourceFile
    index: int | None
    split: str | None


def placed_pieces(layout: FolderLayout, gives: Gives) -> tuple[Piece, ...]:
    """Groups of files, mixed over the classes; each has all that is needed to read it."""
    place = {placed.file.url_or_path: placed for placed in layout.placed}
    index = {name: number for number, name in enumerate(layout.classes)}
    files = in_mixed_order(placed.file for placed in layout.placed)
    pieces = []
    for number, group in enumerate(file_groups(files), start=1):
        rows = []
        for file in group:
            placed = place[file.url_or_path]
            class_index = None if placed.class_name is None else index[placed.class_name]
            rows.append([file.name, file.shown, file.url_or_path, class_index, placed.split])
        pieces.append(piece_of(group, number, {"files": rows}, gives))
    return tuple(pieces)


def files_of(piece: Piece, storage_options: Mapping[str, Any]) -> Iterator[IndexedFile]:
    """The files of such a piece."""
    for name, shown, url_or_path, index, split in piece.arguments["files"]:
        file = SourceFile(
            name=name, shown=shown, url_or_path=url_or_path, storage_options=storage_options
        )
        yield IndexedFile(file, index, split)
