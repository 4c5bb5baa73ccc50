"""CSV files that list images: a path, a label and what else is known of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.image_files import (
    IMAGE,
    common_channels,
    contents,
    decoded_bytes,
    group_of,
    image_features,
    image_of,
)
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.listed_files import FileList, ListedRow
from mlflow_tfconv.steps.ingest.sources.source import Found, Piece

_FIRST_LOOKED_AT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageListSource:
    """Images that the rows of CSV files name; the feature `image` takes the place of the path.

    Attributes:
        files: The rows, and the files that they name.
        options: What becomes of each image.
        channels: Of every image.
    """

    files: FileList
    options: ImageOptions
    channels: int

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> ImageListSource:
        """Looks at the first rows, and at an image where that must be.

        Raises:
            ConfigError: A column that the recipe names is not there, or is called `image`.
            DataError: The list can't be read.
        """
        files = FileList.open(config, root, emit)
        if IMAGE in files.features:
            raise ConfigError(
                f"The list has a column {IMAGE!r} beside the one with the paths, and that is the "
                "name of the image.",
                received=f"column: {config.image.column}, others: {', '.join(files.features)}",
                fix="Is it the column with the paths? Then set `ingest.image.column: image`. "
                "Otherwise leave it out: `ingest.csv.ignore`.",
            )
        channels = config.image.channels or _first_channels(files, config.image)
        return cls(files=files, options=config.image, channels=channels)

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """The image as far as it is known, and the other columns."""
        return {**image_features(self.options, self.channels), **self.files.features}

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
        gives = partial(decoded_bytes, options=self.options, channels=self.channels)
        return tuple(self.files.pieces(gives))

    def examples(self, piece: Piece) -> Iterator[Found]:
        """The image of each row with the row's other columns."""
        rows = list(self.files.rows(piece))
        read = contents([row.file for row in rows if row.file is not None])
        for row in rows:
            if row.file is None:
                yield Found(row.where, row.values)
            else:
                yield self._found(row, next(read)[1])

    def _found(self, row: ListedRow, data: bytes | DataError) -> Found:
        if isinstance(data, DataError) or isinstance(row.values, DataError) or row.file is None:
            return Found(row.where, data if isinstance(data, DataError) else row.values, row.split)
        try:
            image = image_of(row.file, data, self.options, self.channels)
        except DataError as e:
            return Found(row.where, e, row.split)
        example: dict[str, Any] = {IMAGE: image.value, **row.values}
        shapes = {IMAGE: image.original_shape}
        return Found(row.where, example, row.split, group_of(data), shapes)


def _first_channels(files: FileList, options: ImageOptions) -> int:
    """The channels of the first images."""
    for outer in files.table.pieces():
        piece = Piece(
            name=outer.name,
            arguments={"rows": dict(outer.arguments), "start": 0, "stop": _FIRST_LOOKED_AT},
        )
        found = [row.file for row in islice(files.rows(piece), _FIRST_LOOKED_AT) if row.file]
        if found:
            return common_channels(found, options)
    raise DataError("The list names no images.", fix="Check ingest.location.")
