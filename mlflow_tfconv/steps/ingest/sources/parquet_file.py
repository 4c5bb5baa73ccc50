"""A Parquet file, opened, and the rows of its row groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile, reading
from mlflow_tfconv.steps.ingest.sources.parquet_columns import Leaf, as_kind, leaves_of, values_at
from mlflow_tfconv.steps.ingest.sources.table_columns import Column, Kind, TablePlan
from mlflow_tfconv.steps.ingest.sources.table_examples import Rows

_BATCH_BYTES = 2**22
_MOST_ROWS = 2**14
_BUFFER_BYTES = 2**20


class OpenParquet:
    """A file whose footer was read.

    Attributes:
        schema: Its arrow schema.
        groups: How many row groups it has.
    """

    def __init__(self, file: SourceFile, parquet: Any) -> None:
        self._file, self._parquet = file, parquet
        self.schema = parquet.schema_arrow
        self.groups = int(parquet.num_row_groups)
        self._leaves: Mapping[str, Leaf] = {leaf.name: leaf for leaf in leaves_of(self.schema)}

    def size_bytes(self, group: int) -> int:
        """Of a row group, decompressed."""
        return int(self._parquet.metadata.row_group(group).total_byte_size)

    def rows(self, group: int, plan: TablePlan) -> Iterator[tuple[Rows, Callable[[int], str]]]:
        """Batches of the rows of a group, and their places.

        Raises:
            DataError: It is damaged.
        """
        metadata = self._parquet.metadata
        row = 1 + sum(metadata.row_group(before).num_rows for before in range(group))
        each = max(1, self.size_bytes(group) // max(1, metadata.row_group(group).num_rows))
        batches = self._parquet.iter_batches(
            batch_size=max(1, min(_MOST_ROWS, _BATCH_BYTES // each)),
            row_groups=[group],
            columns=list(plan.columns),
            use_threads=False,  # there is a process a core already
        )
        while True:
            with reading(self._file), _damage(f"{self._file.shown}, row group {group}"):
                batch = next(batches, None)
            if batch is None:
                return
            yield self._converted(batch, plan, row)
            row += batch.num_rows

    def _converted(
        self, batch: Any, plan: TablePlan, first: int
    ) -> tuple[Rows, Callable[[int], str]]:
        def where(index: int) -> str:
            return f"{self._file.shown}, row {first + index}"

        rows = Rows(batch.num_rows, {})
        for name, column in plan.columns.items():
            array = values_at(batch, self._leaves[name])
            rows.arrays[name], bad = self._as_kind(array, column)
            for row in bad:
                error = _unfit(where(row), name, column.kind, array[row].as_py())
                rows.wrong.setdefault(row, error)
        return rows, where

    def _as_kind(self, array: Any, column: Column) -> tuple[Any, list[int]]:
        try:
            return as_kind(array, column.kind)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowInvalid) as e:
            raise DataError(
                f"{self._file.shown}: the column {column.name!r} is of another type than expected.",
                received=str(array.type),
                expected=f"what can be read as {column.kind}",
                fix="Leave the file out, or write the column with the type of the other files.",
            ) from e


@contextmanager
def opened_parquet(file: SourceFile) -> Iterator[OpenParquet]:
    """The file, opened as long as the context lasts.

    Raises:
        DataError: It is no Parquet file, is damaged, or can't be read.
    """
    with reading(file), file.open() as stream:
        with _damage(file.shown):
            parquet = pq.ParquetFile(
                stream,
                # Pages of a file here are read as they come, of one elsewhere in large pieces.
                buffer_size=0 if file.remote else _BUFFER_BYTES,
                pre_buffer=file.remote,
                page_checksum_verification=True,
            )
        yield OpenParquet(file, parquet)


@contextmanager
def _damage(where: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as e:
        if isinstance(e, OSError) and e.errno is not None:
            raise
        raise DataError(
            f"{where}: this is no Parquet, or damaged.",
            received=str(e).strip()[:300],
            expected="a whole Parquet file, not encrypted",
            fix="Write or fetch the file again, or leave it out of ingest.location.",
        ) from e


def _unfit(where: str, name: str, kind: Kind, value: Any) -> DataError:
    return DataError(
        f"{where}: the value of the column {name!r} is no {kind}.",
        received=f"{value!r:.80}",
        expected=f"a value that the type {kind} holds",
        fix="Correct it, give the feature another type, or leave such rows out: `on_error: skip`.",
    )
