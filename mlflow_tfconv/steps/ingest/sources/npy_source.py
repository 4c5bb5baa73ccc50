"""Arrays in .npy and .npz files: rows are examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.data.splits import SPLITS
from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import FeatureConfig, IngestConfig
from mlflow_tfconv.steps.ingest.locations import source_files
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.file_groups import identity_of_files
from mlflow_tfconv.steps.ingest.sources.npy_arrays import (
    StoredArray,
    array_names,
    fits,
    stored_arrays,
)
from mlflow_tfconv.steps.ingest.sources.npy_rows import Block, row_blocks
from mlflow_tfconv.steps.ingest.sources.npy_tables import Table, tables_of
from mlflow_tfconv.steps.ingest.sources.source import Found, FoundBatch, Piece

_MOST_NAMED = 30
_PIECE_BYTES = 64_000_000
_BLOCK_BYTES = 4_000_000
# Columns of a few rows each would be many short reads.
_FORTRAN_BLOCK_BYTES = 32_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NpySource:
    """Arrays side by side, row by row.

    Attributes:
        tables: Arrays that belong together.
        given: What the recipe says of features; only these are read, if there are any.
    """

    tables: tuple[Table, ...]
    given: Mapping[str, FeatureConfig]

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> NpySource:
        """Reads the headers of all files.

        Raises:
            ConfigError: An array or a feature that the recipe names is not there.
            DataError: There are no arrays, or they can't be examples.
        """
        files = source_files(
            config.locations,
            root,
            suffixes=(".npy", ".npz"),
            storage_options=config.storage_options,
        )
        wanted = config.npy.arrays
        arrays = tuple(stored_arrays(files, wanted.values()))
        _check_wanted(wanted, arrays, files)
        tables = tables_of(arrays, wanted)
        if not tables:
            raise DataError(
                "The .npy and .npz files at ingest.location hold no rows.",
                received=", ".join(file.shown for file in files[:5]),
                fix="Correct ingest.location.",
            )
        _check_given(config.features, tables[0])
        emit(Message(text=_told(tables)))
        return cls(tables=tables, given=config.features)

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """Nothing: the rows show it."""
        return {}

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that the names of arrays say, if they say any."""
        return _splits(self.tables)

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """The classes that the recipe names."""
        return {name: spec.class_names for name, spec in self.given.items() if spec.class_names}

    def pieces(self) -> tuple[Piece, ...]:
        """Ranges of rows; arrays that can only be read from their beginning are one piece."""
        return tuple(
            _piece(table, number, start, stop)
            for number, table in enumerate(self.tables)
            for start, stop in _ranges(table)
        )

    def examples(self, piece: Piece) -> Iterator[Found]:
        """Each row of a range."""
        for batch in self.batches(piece):
            yield from batch

    def batches(self, piece: Piece) -> Iterator[FoundBatch]:
        """The same, many at once."""
        table = self.tables[piece.arguments["table"]]
        start, stop = piece.arguments["start"], piece.arguments["stop"]
        rows = _rows_at_once(table)
        with ExitStack() as stack:
            streams = [
                stack.enter_context(closing(row_blocks(array, start, stop, rows)))
                for array in table.columns.values()
            ]
            for blocks in zip(*streams, strict=True):
                yield FoundBatch(
                    count=len(blocks[0]),
                    columns=dict(self._features(table, blocks)),
                    where=partial(_place, table.shown, start),
                    split=table.split,
                )
                start += len(blocks[0])

    def _features(self, table: Table, blocks: tuple[Block, ...]) -> Iterator[tuple[str, Block]]:
        for name, block in zip(table.columns, blocks, strict=True):
            for feature in block.dtype.names or (name,):
                values = block[feature] if block.dtype.names else block
                if feature in self.given:
                    yield feature, _as_given(values, self.given[feature])
                elif not self.given:
                    yield feature, values


def _place(shown: str, start: int, index: int) -> str:
    return f"{shown}, row {start + index} (from 0)"


def _ranges(table: Table) -> Iterator[tuple[int, int]]:
    rows = max(1, _PIECE_BYTES // max(1, table.row_bytes)) if table.any_rows else table.rows
    for start in range(0, table.rows, rows):
        yield start, min(start + rows, table.rows)


def _piece(table: Table, number: int, start: int, stop: int) -> Piece:
    return Piece(
        name=f"{table.shown}, rows {start:,} to {stop - 1:,}",
        arguments={"table": number, "start": start, "stop": stop},
        identity={"files": identity_of_files(array.file for array in table.columns.values())},
        size_bytes=(stop - start) * table.row_bytes,
    )


def _rows_at_once(table: Table) -> int:
    fortran = any(array.header.fortran for array in table.columns.values())
    size_bytes = _FORTRAN_BLOCK_BYTES if fortran else _BLOCK_BYTES
    return max(1, size_bytes // max(1, table.row_bytes))


def _as_given(values: Block, spec: FeatureConfig) -> Block:
    return values if spec.dtype == "string" else values.astype(np.dtype(spec.dtype), copy=False)


def _check_wanted(
    wanted: Mapping[str, str], arrays: Sequence[StoredArray], files: Sequence[SourceFile]
) -> None:
    """Refuses the name of an array that is not there."""
    for feature, pattern in wanted.items():
        if not any(fits(array.names, (pattern,)) for array in arrays):
            raise ConfigError(
                f"ingest.npy.arrays: nothing fits {feature!r}.",
                received=pattern,
                expected=f"one of {', '.join(array_names(files)[:_MOST_NAMED]) or 'no arrays'}",
                fix="Correct the name, or ingest.location.",
            )


def _check_given(given: Mapping[str, FeatureConfig], table: Table) -> None:
    """Refuses what the recipe says of features and the arrays don't show."""
    shapes: dict[str, tuple[Any, ...]] = {}
    for name, array in table.columns.items():
        row, fields = array.header.shape[1:], array.header.dtype.fields
        if fields is None:
            shapes[name] = (array.header.dtype, row)
            continue
        for field, (dtype, *_) in fields.items():
            shapes[field] = (dtype.base, (*row, *dtype.shape))
    for name, spec in given.items():
        if name not in shapes:
            raise ConfigError(
                f"ingest.features names {name!r}, but there is no such array.",
                expected=f"one of {', '.join(shapes)}",
                fix="Correct the name, or say which array it is under ingest.npy.arrays.",
            )
        dtype, shape = shapes[name]
        text = dtype.kind in "SU"
        if tuple(spec.shape) != shape or text != (spec.dtype == "string"):
            raise ConfigError(
                f"ingest.features.{name} is not what the array holds.",
                received=f"{spec.dtype} {list(spec.shape)}",
                expected=f"{'string' if text else dtype.name} {list(shape)}",
                fix="Correct it, or leave it out.",
            )


def _splits(tables: tuple[Table, ...]) -> tuple[str, ...]:
    named = {table.split for table in tables}
    return tuple(split for split in SPLITS if split in named)


def _told(tables: tuple[Table, ...]) -> str:
    rows = sum(table.rows for table in tables)
    splits = _splits(tables)
    said = f", split by names into {', '.join(splits)}" if splits else ""
    return f"{rows:,} rows of {', '.join(tables[0].features)}{said}."
