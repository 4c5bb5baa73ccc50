"""Rows of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.locations import source_files
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.parquet_columns import (
    Leaf,
    class_names_of,
    kinds_of,
    leaves_of,
)
from mlflow_tfconv.steps.ingest.sources.parquet_file import OpenParquet, opened_parquet
from mlflow_tfconv.steps.ingest.sources.source import Found, FoundBatch, Piece
from mlflow_tfconv.steps.ingest.sources.table_columns import Kind, TablePlan
from mlflow_tfconv.steps.ingest.sources.table_examples import batch_of
from mlflow_tfconv.steps.ingest.sources.table_plan import Asked, matching, table_plan

SUFFIXES = (".parquet", ".parq", ".pq")
_KIND = "parquet"
_PIECE_BYTES = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetSource:
    """Parquet files; a piece is a row group, or some small ones of a file.

    Attributes:
        files: The files, in order.
        plan: What becomes of a row.
        names: All columns of the first file.
        closed: Whether a file with other columns than these is refused.
        features: What is known of the features.
        class_names: Classes of labels, given or written in the file.
        image: How encoded images are decoded.
    """

    files: tuple[SourceFile, ...]
    plan: TablePlan
    names: tuple[str, ...]
    closed: bool
    features: Mapping[str, FeatureSpec]
    class_names: Mapping[str, tuple[str, ...]]
    image: ImageOptions

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> ParquetSource:
        """Looks at the first file's schema.

        Raises:
            ConfigError: An option names what is not there.
            DataError: There are no files, or the first can't be read.
        """
        asked = Asked.of(config, config.parquet)
        files = source_files(
            config.locations, root, suffixes=SUFFIXES, storage_options=config.storage_options
        )
        with opened_parquet(files[0]) as first:
            leaves, written = leaves_of(first.schema), class_names_of(first.schema)
        kinds = _kinds(leaves, config)
        fills = [name for name in config.parquet.missing if name != "*"]
        matching(fills, [leaf.name for leaf in leaves], f"{_KIND}.missing")
        if config.parquet.columns is None and not config.features:
            _tell_left_out(leaves, kinds, emit)
        _check_asked(leaves, kinds, asked)
        plan = table_plan(kinds, asked)
        features = _features(plan, config.image)
        given = {name: spec.class_names for name, spec in features.items() if spec.class_names}
        classes = {name: names for name, names in written.items() if name in config.labels}
        return cls(
            files=files,
            plan=plan,
            names=tuple(leaf.name for leaf in leaves),
            closed=config.parquet.columns is None and not config.features,
            features=features,
            class_names=classes | given,
            image=config.image,
        )

    def pieces(self) -> tuple[Piece, ...]:
        """The row groups of all files.

        Raises:
            DataError: A file can't be read, or has other columns.
        """
        pieces = []
        for number, file in enumerate(self.files):
            with opened_parquet(file) as opened:
                self._check(leaves_of(opened.schema), file)
                pieces += [_piece(number, file, opened, span) for span in _spans(opened)]
        return tuple(pieces)

    def examples(self, piece: Piece) -> Iterator[Found]:
        """The rows of some row groups.

        Raises:
            DataError: A row group is damaged, or the network fails.
        """
        for found in self.batches(piece):
            yield from found if isinstance(found, FoundBatch) else (found,)

    def batches(self, piece: Piece) -> Iterator[Found | FoundBatch]:
        """The same, many at once; those with images to be decoded one by one.

        Raises:
            DataError: A row group is damaged, or the network fails.
        """
        file = self.files[piece.arguments["file"]]
        first, last = piece.arguments["groups"]
        images = [name for name, column in self.plan.columns.items() if column.kind == "image"]
        with opened_parquet(file) as opened:
            for group in range(first, last):
                for rows, where in opened.rows(group, self.plan):
                    batch = batch_of(rows, self.plan, where, _KIND)
                    if images:
                        yield from (self._decoded(found, images) for found in batch)
                    else:
                        yield batch

    def _decoded(self, found: Found, images: list[str]) -> Found:
        """The example with its images decoded."""
        from mlflow_tfconv.steps.ingest.sources.image_decoding import image_found

        if isinstance(found.example, DataError):
            return found
        values: dict[str, Any] = dict(found.example)
        shapes = {}
        try:
            for name in images:
                image = image_found(_content(values[name]), self.image, found.where)
                values[name], shapes[name] = image.value, image.original_shape
        except DataError as e:
            return replace(found, example=e)
        return replace(found, example=values, original_shapes=shapes)

    def _check(self, leaves: tuple[Leaf, ...], file: SourceFile) -> None:
        kinds = kinds_of(leaves)
        missing = [name for name in self.plan.columns if name not in kinds]
        new = sorted({leaf.name for leaf in leaves} - set(self.names)) if self.closed else []
        if missing or new:
            says = [f"lacks the column {name!r}" for name in missing[:1]]
            says += [f"has the column {name!r}, which others have not" for name in new[:1]]
            raise DataError(
                f"{file.shown} {' and '.join(says)}.",
                received=f"columns: {', '.join(leaf.name for leaf in leaves[:30])}",
                expected=f"columns of {self.files[0].shown}: {', '.join(self.names[:30])}",
                fix="Leave the file out, or choose columns that all files have: `parquet.columns`.",
            )


def _kinds(leaves: tuple[Leaf, ...], config: IngestConfig) -> dict[str, Kind]:
    """What the columns are; those of bytes are images where recipe.yaml says so."""
    kinds = dict(kinds_of(leaves))
    for name, given in config.features.items():
        if given.encoding == "image" and name in kinds:
            if kinds[name] not in ("string", "image"):
                raise ConfigError(
                    f"ingest.features.{name} is said to be an image, but holds no bytes.",
                    received=f"a column of the type {kinds[name]}",
                    fix="Leave `encoding` out.",
                )
            kinds[name] = "image"
    return kinds


def _features(plan: TablePlan, image: ImageOptions) -> dict[str, FeatureSpec]:
    """What is known of the features; of images what the options for images say."""
    images = [name for name, column in plan.columns.items() if column.kind == "image"]
    features = {name: spec for name, spec in plan.features.items() if name not in images}
    if images and image.store == "encoded":
        spec = FeatureSpec("uint8", (None, None, image.channels), encoding="image")
        features |= dict.fromkeys(images, spec)
    return features


def _check_asked(leaves: tuple[Leaf, ...], kinds: Mapping[str, Kind], asked: Asked) -> None:
    """Refuses columns that are named and there, but can't be read."""
    named = {*(asked.options.columns or ()), *asked.features, *asked.required}
    for leaf in leaves:
        if leaf.name in named and leaf.name not in kinds:
            raise DataError(
                f"The column {leaf.name!r} is of a type that is not read.",
                received=str(leaf.type),
                expected="numbers, texts, times, or lists and structs of these",
                fix="Leave it out, or write it as one of these.",
            )


def _tell_left_out(leaves: tuple[Leaf, ...], kinds: Mapping[str, Kind], emit: Emit) -> None:
    unread = [f"{leaf.name} ({leaf.type})" for leaf in leaves if leaf.name not in kinds]
    if unread:
        text = f"Columns of types that are not read are left out: {', '.join(unread)}."
        emit(Message(text=text, level="warning"))


def _content(value: Any) -> bytes:
    """The image file in a cell: its bytes, or a struct of bytes and path."""
    return (value["bytes"] if isinstance(value, dict) else value) or b""


def _spans(opened: OpenParquet) -> Iterator[tuple[int, int]]:
    """First and last (exclusive) row group of each piece."""
    first, size = 0, 0
    for group in range(opened.groups):
        if group > first and size + opened.size_bytes(group) > _PIECE_BYTES:
            yield first, group
            first, size = group, 0
        size += opened.size_bytes(group)
    if opened.groups:
        yield first, opened.groups


def _piece(number: int, file: SourceFile, opened: OpenParquet, span: tuple[int, int]) -> Piece:
    first, last = span
    whole = span == (0, opened.groups)
    groups = f"row group {first}" if last == first + 1 else f"row groups {first} to {last - 1}"
    return Piece(
        name=file.shown if whole else f"{file.shown}, {groups}",
        arguments={"file": number, "groups": [first, last]},
        identity=file.identity,
        size_bytes=sum(opened.size_bytes(group) for group in range(first, last)),
    )
