"""Folders of images: a folder a class, under train, validation and test or without these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.folder_layout import FolderLayout, folder_layout
from mlflow_tfconv.steps.ingest.sources.image_decoding import SUFFIXES
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
from mlflow_tfconv.steps.ingest.sources.placed_pieces import (
    IndexedFile,
    files_of,
    placed_pieces,
)
from mlflow_tfconv.steps.ingest.sources.source import Found, Piece

_LABEL, _PATH = "label", "path"


@dataclass(frozen=True, kw_only=True)
class ImageFolderSource:
    """Images whose folder is their class, in an order that has nothing to do with the classes.

    The features are `image`, the label (the index of the folder's name among all, sorted; named
    `label` where the recipe says nothing else) and, when the recipe says `key: path`, `path` below
    the location.

    Attributes:
        options: What becomes of each image.
        channels: Of every image.
        features: The image, where it is known beforehand.
        class_names: The label's classes; empty when the images lie in no folders.
        with_path: Whether examples have their path.
        storage_options: For URLs.
        splits: Those that folders name, if they name any.
        found: The pieces; they don't travel to the processes that read them.
    """

    options: ImageOptions
    channels: int
    features: Mapping[str, FeatureSpec]
    class_names: Mapping[str, tuple[str, ...]]
    with_path: bool = False
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    found: tuple[Piece, ...] = field(default=(), repr=False)

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> ImageFolderSource:
        """Lists the folders, and looks at an image where that must be.

        Raises:
            ConfigError: The label or the key is something that such a source does not have.
            DataError: There are no images, or no classes although the recipe names a label.
        """
        label = _label_of(config)
        layout = folder_layout(config.locations, root, SUFFIXES, config.storage_options)
        emit(Message(text=layout.told("images")))
        if config.label is not None and not layout.classes:
            raise _no_classes(layout)
        channels = common_channels([placed.file for placed in layout.placed], config.image)
        return cls(
            options=config.image,
            channels=channels,
            features=image_features(config.image, channels),
            class_names={label: layout.classes} if layout.classes else {},
            with_path=config.key == _PATH,
            storage_options=config.storage_options,
            splits=layout.splits,
            found=placed_pieces(layout, lambda file: decoded_bytes(file, config.image, channels)),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, for a recipe that names none."""
        return tuple(self.class_names)

    def pieces(self) -> tuple[Piece, ...]:
        """Groups of files."""
        return self.found

    def examples(self, piece: Piece) -> Iterator[Found]:
        """Each image of a group."""
        placed = list(files_of(piece, self.storage_options))
        read = contents([one.file for one in placed])
        for one, (_, data) in zip(placed, read, strict=True):
            yield self._found(one, data)

    def _found(self, placed: IndexedFile, data: bytes | DataError) -> Found:
        file, split = placed.file, placed.split
        if isinstance(data, DataError):
            return Found(file.shown, data, split)
        try:
            image = image_of(file, data, self.options, self.channels)
        except DataError as e:
            return Found(file.shown, e, split)
        example: dict[str, Any] = {IMAGE: image.value}
        if placed.index is not None:
            example[self.labels[0]] = placed.index
        if self.with_path:
            example[_PATH] = file.name
        shapes = {IMAGE: image.original_shape}
        return Found(file.shown, example, split, group_of(data), shapes)

    def __getstate__(self) -> dict[str, Any]:
        """All but the pieces, which may be many."""
        return {**self.__dict__, "found": ()}


def _label_of(config: IngestConfig) -> str:
    labels = config.labels or (_LABEL,)
    if len(labels) > 1 or labels[0] in (IMAGE, _PATH):
        raise ConfigError(
            "ingest.label does not fit folders of images.",
            received=", ".join(labels),
            expected="one name for what the folders say, such as label",
            fix="Leave it out, or use `image_list` or a generator for several labels.",
        )
    if config.key not in (None, _PATH):
        raise ConfigError(
            "ingest.key names no feature of folders of images.",
            received=config.key,
            expected=f"{_PATH}, or nothing",
            fix="Leave it out: the same image always goes to the same split.",
        )
    return labels[0]


def _no_classes(layout: FolderLayout) -> DataError:
    return DataError(
        "The images lie in no folders that could be their classes, but ingest.label asks for one.",
        received=f"{layout.placed[0].file.shown} and {len(layout.placed) - 1:,} more",
        expected="a folder for each class below ingest.location",
        fix="Set ingest.location to the folder above the classes, or leave ingest.label out.",
    )
