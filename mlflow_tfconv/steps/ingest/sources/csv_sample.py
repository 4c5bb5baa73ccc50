"""What the columns of CSV files hold, from a sample of their rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.column_values import ColumnSample
from mlflow_tfconv.steps.ingest.sources.csv_header import Header, read_header
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.csv_rows import CsvRows
from mlflow_tfconv.steps.ingest.sources.table_examples import Rows
from mlflow_tfconv.steps.ingest.sources.text_stream import TextStream

_MOST_FILES = 10
_LOOKED_AT_BYTES = 2**18


@dataclass(slots=True)
class Sample:
    """What was seen of a table.

    Attributes:
        names: The columns with a name, in the order of the first file.
        columns: Column to what it holds.
        rows: Rows that were looked at.
        files: Files that were looked into.
        wrong: Why the first row that is none could not be parsed.
        stray_quote: The first line, for a person, where text follows a closing quote.
    """

    names: tuple[str, ...]
    columns: Mapping[str, ColumnSample]
    rows: int = 0
    files: int = 0
    wrong: DataError | None = None
    stray_quote: str | None = None


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
        DataError: All files are empty, one can't be read, or no row fits the columns.
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
    if not sample.rows and sample.wrong:
        raise _no_row_fits(sample.wrong)
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
        sample.wrong = sample.wrong or next(iter(rows.wrong.values()), None)
        if rows.arrays:
            _add(sample, rows, left, options)
            left -= min(left, rows.count)
        if not left:
            break
    sample.stray_quote = sample.stray_quote or _stray_quote(file, header, options)


def _stray_quote(file: SourceFile, header: Header, options: CsvOptions) -> str | None:
    """The first line of the first rows where text follows a closing quote, if there is one."""
    if options.quote is None or options.escape is not None:
        return None
    with TextStream(file, options.encoding, quote=options.quote) as stream:
        read_header(stream, file, options)
        data = stream.read(_LOOKED_AT_BYTES)
    lines = data.decode(errors="replace").splitlines(keepends=True)
    reader = csv.reader(lines, delimiter=header.delimiter, quotechar=options.quote, strict=True)
    try:
        for _ in reader:
            pass
    except csv.Error as e:
        if "expected after" in str(e):
            return f"{file.shown}, line {header.lines + reader.line_num}"
    return None


def _no_row_fits(first: DataError) -> DataError:
    return DataError(
        f"No row fits the columns that the first line names. {first.what}",
        received=first.received,
        expected=first.expected,
        fix="Check `csv.delimiter` and quotes. A first line that names no columns is left out by "
        "`csv: {skip_lines: 1, header: false}`.",
    )


def _add(sample: Sample, rows: Rows, most: int, options: CsvOptions) -> None:
    places = [row for row in range(min(most, rows.count)) if row not in rows.blank]
    kept = pa.array(places, pa.int64())
    missing = pa.array(options.missing_texts, pa.string())
    sample.rows += len(kept)
    for name, texts in rows.arrays.items():
        sample.columns[name].add(texts.take(kept), missing, options.decimal)
