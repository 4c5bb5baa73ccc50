"""Rows of a CSV file that name other files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.locations import SourceFile, source_files
from mlflow_tfconv.steps.ingest.sources.csv_sample import header_of
from mlflow_tfconv.steps.ingest.sources.csv_source import SUFFIXES, CsvSource
from mlflow_tfconv.steps.ingest.sources.file_groups import MOST_BYTES, MOST_FILES, Gives
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.source import Piece
from mlflow_tfconv.steps.ingest.sources.video_options import VideoOptions
from mlflow_tfconv.steps.ingest.split_names import split_of_folder

_LABEL = "label"


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of a list.

    Attributes:
        where: Its place, for a person, with the file that it names.
        file: The file; None when the row is unfit.
        values: The row's other features; or why there are none.
        split: What the row says.
    """

    where: str
    file: SourceFile | None
    values: Mapping[str, Any] | DataError
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList:
    """CSV files with a column of paths or URLs.

    Attributes:
        table: The rows.
        column: The column with the paths.
        split: The column that says the split, if one does.
        base: Where relative paths start; None is the folder of the list.
        keep_path: Whether the path is a feature.
        labels: The label features.
        storage_options: For URLs.
    """

    table: CsvSource
    column: str
    split: str | None
    base: str | None
    keep_path: bool
    labels: tuple[str, ...]
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def open(
        cls, config: IngestConfig, root: Path, emit: Emit, *, numbers: tuple[str, ...] = ()
    ) -> FileList:
        """Looks at the lists' first rows.

        Args:
            config: The step's.
            root: The recipe's folder.
            emit: Is told the types of the columns.
            numbers: Columns that are numbers, where they are there.

        Raises:
            ConfigError: A column that the recipe names is not there.
            DataError: There are no rows, or they can't be read.
        """
        column, split = config.image.column, config.image.split
        names = _columns(config, root)
        for option, name in (("column", column), ("split", split)):
            if name is not None and name not in names:
                raise _no_column(option, name, names)
        default = (_LABEL,) if _LABEL in names else ()
        labels = config.labels or default
        types: dict[str, Any] = {**config.csv.types, column: "string"}
        types |= {split: "string"} if split else {}
        types |= {name: "float32" for name in numbers if name in names and name not in types}
        wanted = config.csv.columns
        if wanted is not None:
            more = (column, split, *numbers)
            wanted = tuple(dict.fromkeys((*wanted, *(n for n in more if n in names))))
        csv = dataclasses.replace(config.csv, types=types, columns=wanted)
        plain = dataclasses.replace(
            config,
            using="csv",
            label=labels or None,
            csv=csv,
            image=ImageOptions(),
            video=VideoOptions(),
        )
        return cls(
            table=CsvSource.open(plain, root, emit),
            column=column,
            split=split,
            base=_base(config.image.root, root),
            keep_path=config.key == column,
            labels=labels,
            storage_options=config.storage_options,
        )

    @property
    def features(self) -> Mapping[str, Any]:
        """The features of a row without its file."""
        left_out = {self.split, None if self.keep_path else self.column}
        return {name: spec for name, spec in self.table.features.items() if name not in left_out}

    def pieces(self, gives: Gives) -> Iterator[Piece]:
        """Rows whose files are about 32 MB together, 1024 at most."""
        for outer in self.table.pieces():
            for start, stop, size_bytes, digest in self._groups(outer, gives):
                yield Piece(
                    name=f"{outer.name}, rows {start + 1:,} to {stop:,}",
                    arguments={"rows": dict(outer.arguments), "start": start, "stop": stop},
                    identity={"list": dict(outer.identity), "files": digest},
                    size_bytes=size_bytes,
                )

    def rows(self, piece: Piece) -> Iterator[ListedRow]:
        """Those of a piece."""
        outer = Piece(name=piece.name, arguments=piece.arguments["rows"])
        start, stop = piece.arguments["start"], piece.arguments["stop"]
        for found in islice(self.table.examples(outer), start, stop):
            if isinstance(found.example, DataError):
                yield ListedRow(found.where, None, found.example)
            else:
                yield self._row(found.where, dict(found.example), outer)

    def _row(self, where: str, values: dict[str, Any], outer: Piece) -> ListedRow:
        text = values[self.column].decode()
        if not self.keep_path:
            del values[self.column]
        if not text:
            return ListedRow(where, None, _no_path(where, self.column))
        said = values.pop(self.split).decode() if self.split else ""
        split = split_of_folder(said)
        if self.split and split is None:
            return ListedRow(where, None, _no_split(where, self.split, said))
        return ListedRow(f"{where}: {text}", self._file(text, where, outer), values, split)

    def _file(self, text: str, where: str, outer: Piece) -> SourceFile:
        text = text.removeprefix("file://")
        if "://" in text or PurePosixPath(text).is_absolute():
            place = text
        elif self.base is not None:
            place = f"{self.base.rstrip('/')}/{text}"
        else:
            owner = self.table.files[outer.arguments["file"]].url_or_path
            place = f"{owner.rpartition('/')[0]}/{text}"
        return SourceFile(
            name=text,
            shown=f"{where}: {text}",
            url_or_path=place,
            storage_options=self.storage_options,
        )

    def _groups(self, outer: Piece, gives: Gives) -> Iterator[tuple[int, int, int, str]]:
        """Start, stop, bytes given and digest of rows that belong to one piece."""
        start = stop = size_bytes = given = 0
        digest = hashlib.blake2b(digest_size=16)
        whole = Piece(name="", arguments={"rows": dict(outer.arguments), "start": 0, "stop": None})
        for row in self.rows(whole):
            file = None if row.file is None else _looked_at(row.file)
            more = (file and file.size_bytes) or 0
            if stop > start and (stop - start == MOST_FILES or size_bytes + more > MOST_BYTES):
                yield start, stop, given, digest.hexdigest()
                start, size_bytes, given = stop, 0, 0
                digest = hashlib.blake2b(digest_size=16)
            stop, size_bytes = stop + 1, size_bytes + more
            given += gives(file) if file else 0
            digest.update(json.dumps(file and [file.name, dict(file.identity)]).encode())
        if stop > start:
            yield start, stop, given, digest.hexdigest()


def _looked_at(file: SourceFile) -> SourceFile:
    """The file with size and identity; a server is not asked for each of many."""
    if file.remote:
        return dataclasses.replace(file, size_bytes=MOST_BYTES // MOST_FILES)
    try:
        found = Path(file.url_or_path).stat()
    except OSError:
        return file
    identity = {"size": found.st_size, "mtime_ns": found.st_mtime_ns}
    return dataclasses.replace(file, size_bytes=found.st_size, identity=identity)


def _columns(config: IngestConfig, root: Path) -> tuple[str, ...]:
    files = source_files(
        config.locations, root, suffixes=SUFFIXES, storage_options=config.storage_options
    )
    header = header_of(files[0], config.csv)
    return header.names if header else ()


def _base(given: str | None, root: Path) -> str | None:
    if given is None or "://" in given:
        return given
    return str(root / Path(given).expanduser())


def _no_column(option: str, name: str, names: tuple[str, ...]) -> ConfigError:
    return ConfigError(
        f"The list has no column {name!r}.",
        received=f"columns: {', '.join(names[:30]) or 'none'}",
        expected="a column with the paths of the files"
        if option == "column"
        else "a column that says train, validation or test",
        fix=f"Set `ingest.image.{option}` to the column's name.",
    )


def _no_path(where: str, column: str) -> DataError:
    return DataError(
        f"{where}: the column {column!r} is empty.",
        expected="the path or URL of a file",
        fix="Correct the row, or leave such rows out: `on_error: skip`.",
    )


def _no_split(where: str, column: str, text: str) -> DataError:
    return DataError(
        f"{where}: the column {column!r} says no split.",
        received=repr(text),
        expected="train, validation (val, valid, dev) or test",
        fix="Correct the row, or leave `ingest.image.split` out.",
    )
