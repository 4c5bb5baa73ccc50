"""The first line of a CSV file: the columns' names, and what stands between them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.text_stream import TextStream

_CHUNK_BYTES = 2**16
_MOST_BYTES = 2**24
_DELIMITERS = ",;\t|"
_MANY = 8
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file's first line says.

    Attributes:
        names: The columns' names, in order; empty for one without a name.
        delimiter: What stands between values.
        lines: Lines before the first row.
        size_bytes: Bytes before the first row, as UTF-8 and without a byte order mark.
    """

    names: tuple[str, ...]
    delimiter: str
    lines: int
    size_bytes: int


def read_header(stream: TextStream, file: SourceFile, options: CsvOptions) -> Header | None:
    """The header; the stream goes on at the first row. None when there is nothing in the file.

    Raises:
        DataError: It is no text of this encoding, does not end, or names a column twice.
    """
    data = b""
    while True:
        chunk = stream.read(_CHUNK_BYTES)
        data += chunk
        header = _header(data, file, options, whole=not chunk)
        if header is not None:
            stream.push_back(data[header.size_bytes :])
            _check_names(header, file, options)
            return header
        if not chunk:
            return None
        if len(data) > _MOST_BYTES:
            raise DataError(
                f"{file.shown}: the first line does not end within {_MOST_BYTES // 10**6} MB.",
                fix="Is it a CSV file? Check its delimiter and quotes.",
            )


def _header(data: bytes, file: SourceFile, options: CsvOptions, *, whole: bool) -> Header | None:
    """The header, or None when more of the file is needed to see it."""
    lines = data.splitlines(keepends=True)
    if not whole:
        lines = lines[:-1]  # it may go on, and a \r may be followed by its \n
    skipped = options.skip_lines
    while skipped < len(lines) and not lines[skipped].strip():
        skipped += 1
    if skipped >= len(lines):
        return None
    delimiter = _delimiter(_text(lines[skipped], file), file, options)
    texts = (_text(line, file) for line in lines[skipped:])
    reader = csv.reader(texts, **_dialect(delimiter, options))
    values = next(reader)
    if not whole and reader.line_num >= len(lines) - skipped:
        return None
    names, used = _names(values, file, options), skipped
    if options.header is not False:
        used += reader.line_num
    size = sum(map(len, lines[:used]))
    return Header(names=names, delimiter=delimiter, lines=used, size_bytes=size)


def _names(values: list[str], file: SourceFile, options: CsvOptions) -> tuple[str, ...]:
    if options.column_names is None:
        if options.header is not False:
            return tuple(value.strip() for value in values)
        return tuple(f"column_{number}" for number in range(1, len(values) + 1))
    if len(options.column_names) != len(values):
        raise DataError(
            f"{file.shown}: csv.column_names does not name its columns.",
            received=f"{len(options.column_names)} names, {len(values)} columns",
            fix="Give a name for each column; `csv.columns` chooses some.",
        )
    return options.column_names


def _delimiter(line: str, file: SourceFile, options: CsvOptions) -> str:
    if options.delimiter is not None:
        return options.delimiter
    if {".tsv", ".tab"} & set(PurePosixPath(file.name.lower()).suffixes[-2:]):
        return "\t"
    outside = "".join(line.split(options.quote)[::2]) if options.quote else line
    counts = Counter(character for character in outside if character in _DELIMITERS)
    return max(_DELIMITERS, key=lambda character: counts[character])


def _dialect(delimiter: str, options: CsvOptions) -> dict[str, Any]:
    quoting = csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE
    return {
        "delimiter": delimiter,
        "quotechar": options.quote,
        "escapechar": options.escape,
        "doublequote": options.escape is None,
        "quoting": quoting,
    }


def _text(line: bytes, file: SourceFile) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as e:
        raise not_utf8(f"{file.shown}, before the first row", line) from e


def not_utf8(where: str, data: bytes) -> DataError:
    """The error for text of another encoding."""
    return DataError(
        f"{where}: this is no UTF-8 text.",
        received=f"{data[:60]!r}",
        expected="UTF-8, or the encoding that the options of the source name",
        fix="Say which it is, such as `encoding: cp1252` (Windows) or `encoding: latin-1`.",
    )


def _check_names(header: Header, file: SourceFile, options: CsvOptions) -> None:
    if options.header is None and options.column_names is None and _looks_like_a_row(header.names):
        raise DataError(
            f"{file.shown}: the first line looks like a row, and not like names of columns.",
            received=", ".join(header.names)[:80],
            expected="names of columns",
            fix="Set `csv: {header: false}` where there is no header, or `csv: {header: true}` "
            "where these are the names.",
        )
    twice = [name for name, count in Counter(filter(None, header.names)).items() if count > 1]
    if twice:
        places = [str(i) for i, name in enumerate(header.names, start=1) if name == twice[0]]
        raise DataError(
            f"{file.shown} has two columns {twice[0]!r}.",
            received=f"columns {', '.join(places)} of {len(header.names)}",
            expected="a name of its own for every column",
            fix="Rename one, or name all with `csv.column_names`.",
        )


def _looks_like_a_row(names: tuple[str, ...]) -> bool:
    """Whether the numbers among the names are in no order.

    Numbers are good names of columns where they count something, such as 0, 1, 2 or years, or many
    wave numbers, which fall.
    """
    numbers = [float(name) for name in names if _NUMBER.match(name)]
    rising = all(a < b for a, b in pairwise(numbers))
    falling = all(a > b for a, b in pairwise(numbers))
    return not rising and not (falling and len(numbers) >= _MANY)
