"""Which videos are read, and what is known of each: from folders, or from the rows of a list."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources import csv_source, image_decoding
from mlflow_tfconv.steps.ingest.sources.file_groups import identity_of_files
from mlflow_tfconv.steps.ingest.sources.folder_layout import all_files, layout_of
from mlflow_tfconv.steps.ingest.sources.frame_choice import Part
from mlflow_tfconv.steps.ingest.sources.listed_files import FileList, ListedRow
from mlflow_tfconv.steps.ingest.sources.placed_pieces import files_of, placed_pieces
from mlflow_tfconv.steps.ingest.sources.source import Piece
from mlflow_tfconv.steps.ingest.sources.video_frames import SUFFIXES, check_library
from mlflow_tfconv.steps.ingest.sources.video_options import VideoOptions

_GROWTH = 20  # videos are compressed more than that, but not all of a frame is kept
_LABEL, _PATH = "label", "path"


@dataclass(frozen=True, slots=True)
class Video:
    """A video, or a part of one.

    Attributes:
        where: For a person.
        file: The video; of numbered pictures their folder.
        values: Its features but for the frames.
        split: What its folder or its row says.
        part: Which part of it.
    """

    where: str
    file: SourceFile
    values: Mapping[str, Any]
    split: str | None
    part: Part


class Videos(Protocol):
    """Where videos come from."""

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """What is known of them but for the frames."""

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """Label to its classes."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, for a recipe that names none."""

    def pieces(self) -> tuple[Piece, ...]:
        """Groups of videos."""

    def videos(self, piece: Piece) -> Iterator[Video | tuple[str, DataError]]:
        """Those of a piece; or the place of one, and why it can't be read."""


def videos_of(config: IngestConfig, root: Path, emit: Emit) -> Videos:
    """The videos that a recipe names: CSV files are lists, all else is folders.

    Raises:
        ConfigError: The label or the key is something that they don't have.
        DataError: There are no videos, or the list can't be read.
        MissingLibraryError: PyAV is not installed.
    """
    if all(location.lower().endswith(csv_source.SUFFIXES) for location in config.locations):
        return VideosOfList.open(config, root, emit)
    return VideosOfFolders.open(config, root, emit)


@dataclass(frozen=True, kw_only=True)
class VideosOfFolders:
    """Videos, or folders of numbered pictures, whose folder is their class."""

    class_names: Mapping[str, tuple[str, ...]]
    with_path: bool
    storage_options: Mapping[str, Any]
    features: Mapping[str, FeatureSpec] = field(default_factory=dict)
    found: tuple[Piece, ...] = field(default=(), repr=False)

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> VideosOfFolders:
        """Lists the folders."""
        files = all_files(config.locations, root, config.storage_options)
        suffixes: tuple[str, ...] = SUFFIXES
        if any(file.suffix in SUFFIXES for file in files):
            check_library()
        else:
            pictures = [file for file in files if file.suffix in image_decoding.SUFFIXES]
            files, suffixes = (_folders(pictures), ()) if pictures else (files, SUFFIXES)
        layout = layout_of(files, suffixes, ", ".join(config.locations))
        emit(Message(text=layout.told("videos")))
        label = _label_of(config)
        if config.label is not None and not layout.classes:
            raise DataError(
                "The videos lie in no folders that could be their classes, but ingest.label asks "
                "for one.",
                received=f"{layout.placed[0].file.shown} and {len(layout.placed) - 1:,} more",
                fix="Set ingest.location to the folder above the classes, or leave ingest.label "
                "out.",
            )
        return cls(
            class_names={label: layout.classes} if layout.classes else {},
            with_path=config.key == _PATH,
            storage_options=config.storage_options,
            found=placed_pieces(layout, _gives),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, for a recipe that names none."""
        return tuple(self.class_names)

    def pieces(self) -> tuple[Piece, ...]:
        """Groups of videos."""
        return self.found

    def videos(self, piece: Piece) -> Iterator[Video | tuple[str, DataError]]:
        """Those of a piece."""
        for placed in files_of(piece, self.storage_options):
            values: dict[str, Any] = {}
            if placed.index is not None:
                values[self.labels[0]] = placed.index
            if self.with_path:
                values[_PATH] = placed.file.name
            yield Video(placed.file.shown, placed.file, values, placed.split, Part())

    def __getstate__(self) -> dict[str, Any]:
        """All but the pieces, which may be many."""
        return {**self.__dict__, "found": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideosOfList:
    """Videos that the rows of CSV files name, with or without the part that is meant.

    Attributes:
        files: The rows.
        options: Names of the columns with the part.
    """

    files: FileList
    options: VideoOptions

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> VideosOfList:
        """Looks at the first rows."""
        numbers = (config.video.start, config.video.end)
        return cls(files=FileList.open(config, root, emit, numbers=numbers), options=config.video)

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """The other columns."""
        part = (self.options.start, self.options.end)
        return {name: spec for name, spec in self.files.features.items() if name not in part}

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """The classes that were given."""
        return self.files.table.class_names

    @property
    def labels(self) -> tuple[str, ...]:
        """The column `label` where the recipe names none."""
        return self.files.labels

    def pieces(self) -> tuple[Piece, ...]:
        """Groups of rows."""
        return tuple(self.files.pieces(_gives))

    def videos(self, piece: Piece) -> Iterator[Video | tuple[str, DataError]]:
        """Those of a piece."""
        for row in self.files.rows(piece):
            if row.file is None or isinstance(row.values, DataError):
                assert isinstance(row.values, DataError)  # noqa: S101 (no file, no values)
                yield row.where, row.values
            else:
                yield self._video(row, row.file, dict(row.values))

    def _video(
        self, row: ListedRow, file: SourceFile, values: dict[str, Any]
    ) -> Video | tuple[str, DataError]:
        start = _place(values.pop(self.options.start, None))
        end = _place(values.pop(self.options.end, None))
        if (start or 0) < 0 or (end is not None and end <= (start or 0)):
            return row.where, DataError(
                f"{row.where}: this is no part of a video.",
                received=f"{self.options.start}: {start}, {self.options.end}: {end}",
                expected="a start, and an end after it",
                fix="Correct the row, or leave such rows out: `on_error: skip`.",
            )
        return Video(row.where, file, values, row.split, Part(start, end))


def _gives(file: SourceFile) -> int:
    return _GROWTH * (file.size_bytes or 0)


def _place(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _folders(pictures: list[SourceFile]) -> list[SourceFile]:
    """The folders of pictures, as if each were a file."""
    together: dict[str, list[SourceFile]] = defaultdict(list)
    for file in pictures:
        together[file.url_or_path.rpartition("/")[0]].append(file)
    return [
        dataclasses.replace(
            files[0],
            name=files[0].name.rpartition("/")[0] or PurePosixPath(place).name,
            shown=files[0].shown.rpartition("/")[0],
            url_or_path=place,
            size_bytes=sum(file.size_bytes or 0 for file in files),
            identity={"files": identity_of_files(files)},
        )
        for place, files in together.items()
    ]


def _label_of(config: IngestConfig) -> str:
    labels = config.labels or (_LABEL,)
    if len(labels) > 1 or labels[0] in ("image", "clip", _PATH):
        raise ConfigError(
            "ingest.label does not fit folders of videos.",
            received=", ".join(labels),
            expected="one name for what the folders say, such as label",
            fix="Leave it out, or give a list (CSV) with several labels.",
        )
    if config.key not in (None, _PATH):
        raise ConfigError(
            "ingest.key names no feature of folders of videos.",
            received=config.key,
            expected=f"{_PATH}, or nothing",
            fix="Leave it out: all of a video goes to the same split.",
        )
    return labels[0]
