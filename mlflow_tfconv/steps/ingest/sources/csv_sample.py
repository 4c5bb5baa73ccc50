"""What the columns of CSV files hold, from a sample of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.column_values import kind_of, wider
from mlflow_tfconv.steps.ingest.sources.csv_header import Header, read_header
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.csv_rows import CsvRows
from mlflow_tfconv.steps.ingest.sources.table_columns import Kind
from mlflow_tfconv.steps.ingest.sources.table_examples import Rows
from mlflow_tfconv.steps.ingest.sources.text_stream import TextStream

_MOST_FILES = 10
_EXACT_IN_FLOAT32 = 2**24


@dataclass(slots=True)
class ColumnSample:
    """What was seen of a column.

    Attributes:
        kind: The narrowest kind that all values are of; None when there is no value.
        missing: Rows without a value.
        large: Whether it holds integers that a float32 does not tell apart.
    """

    kind: Kind | None = None
    missing: int = 0
    large: bool = False

    @property
    def best(self) -> Kind | None:
        """The kind to read it as: integers are floats where some are missing, to be NaN."""
        return "float32" if self.kind == "int64" and self.missing and not self.large else self.kind


@dataclass(slots=True)
class Sample:
    """What was seen of a table.

    Attributes:
        names: The columns with a name, in the order of the first file.
        columns: Column to what it holds.
        rows: Rows that were looked at.
        files: Files that were looked into.
    """

    names: tuple[str, ...]
    columns: Mapping[str, ColumnSample]
    rows: int = 0
    files: int = 0


def header_of(file: SourceFile, options: CsvOptions) -> Header | None:
    """A file's header; None of an empty file.

    Raises:
        DataError: It can't be read.
    """
    with TextStream(file, options.encoding, quote=options.quote) as stream:
        return read_header(stream, file, options)


def take_sample(files: tuple[SourceFile, ...], options: CsvOptions) -> Sample:
    """The first rows of some files, the first and the last among them.

    Raises:
        DataError: All files are empty, or one can't be read.
    """
    headers = _first_headers(files, options)
    first = next(headers, None)
    if first is None:
        raise DataError(
            "The files at ingest.location are empty.",
            received=", ".join(file.shown for file in files[:5]),
            fix="Set ingest.location to files with rows.",
        )
    names = tuple(name for name in first[1].names if name)
    sample = Sample(names, {name: ColumnSample() for name in names})
    chosen = [first, *islice(headers, _MOST_FILES - 1)]
    for file, header in chosen:
        _look_at(sample, file, header, options, -(-options.sample_rows // len(chosen)))
    if not sample.rows:
        raise DataError(
            "The files at ingest.location have no rows below their first line.",
            received=", ".join(file.shown for file, _ in chosen[:5]),
            fix="Set ingest.location to files with rows; without a header, `csv: {header: false}`.",
        )
    return sample


def _first_headers(
    files: tuple[SourceFile, ...], options: CsvOptions
) -> Iterator[tuple[SourceFile, Header]]:
    """Files that are not empty, some of many, spread evenly."""
    step = max(1, (len(files) - 1) // (_MOST_FILES - 1)) if len(files) > _MOST_FILES else 1
    places = range(len(files))
    for place in dict.fromkeys((0, places[-1], *places[::step], *places)):
        header = header_of(files[place], options)
        if header is not None:
            yield files[place], header


def _look_at(
    sample: Sample, file: SourceFile, header: Header, options: CsvOptions, most: int
) -> None:
    names = [name for name in sample.names if name in header.names]
    left, sample.files = most, sample.files + 1
    for rows, _ in CsvRows(file, header, dict.fromkeys(names, "string"), options):
        if rows.arrays:
            _add(sample, rows, left, options)
            left -= min(left, rows.count)
        if not left:
            return


def _add(sample: Sample, rows: Rows, most: int, options: CsvOptions) -> None:
    kept = pa.array([row for row in range(min(most, rows.count)) if row not in rows.blank])
    missing = pa.array(options.missing_texts, pa.string())
    sample.rows += len(kept)
    for name, texts in rows.arrays.items():
        kind, gone = kind_of(texts.take(kept.cast(pa.int64())), missing, options.decimal)
        seen = sample.columns[name]
        seen.kind, seen.missing = wider(seen.kind, kind), seen.missing + gone
        if kind == "int64":
            seen.large = seen.large or _has_large(texts)


def _has_large(texts: pa.Array) -> bool:
    """Whether an integer has so many digits; close enough to tell an id from a quantity."""
    longest = pc.max(pc.utf8_length(pc.utf8_trim_whitespace(texts))).as_py() or 0
    return bool(longest > len(str(_EXACT_IN_FLOAT32)))
