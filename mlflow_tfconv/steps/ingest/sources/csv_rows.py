"""The rows of a CSV file, some at a time, each with the place where it stands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.column_values import arrow_type, values_of
from mlflow_tfconv.steps.ingest.sources.csv_header import Header, not_utf8, read_header
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.csv_parts import Part, batches_of, blank_rows, parts_of
from mlflow_tfconv.steps.ingest.sources.line_spans import Span
from mlflow_tfconv.steps.ingest.sources.table_columns import Kind
from mlflow_tfconv.steps.ingest.sources.table_examples import Rows
from mlflow_tfconv.steps.ingest.sources.text_stream import TextStream

_BLOCK_BYTES = 2**20
_LARGEST_BLOCK = 2**27
_GROWTH = 8

#: Gives the place of a row, counted from 0 in its batch, for a person.
Where = Callable[[int], str]


@dataclass(slots=True)
class _Place:
    """How far a file was read: its records, and the line breaks within their values."""

    records: int = 0
    breaks: int = 0


class CsvRows:
    """The rows of a file as columns of the kinds that are asked for.

    Numbers are converted while the file is parsed. When a value does not fit, the rest of the file
    is read as text and converted value by value, so that each that does not fit is found.

    Args:
        file: The file.
        header: Its header.
        kinds: Column to what its values are to be; other columns are parsed and not converted.
        options: How it is written.
        span: The part to read.
    """

    def __init__(
        self,
        file: SourceFile,
        header: Header,
        kinds: Mapping[str, Kind],
        options: CsvOptions,
        *,
        span: Span = Span(),
    ) -> None:
        self._file, self._header, self._options, self._span = file, header, options, span
        self._kinds = {header.names.index(name): kind for name, kind in kinds.items()}
        self._missing = pa.array(options.missing_texts, pa.string())
        self._place = _Place()

    def __iter__(self) -> Iterator[tuple[Rows, Where]]:
        """Batches of rows; a row that can't be parsed is in none and told by an error in `wrong`.

        Raises:
            DataError: The file can't be read any further.
        """
        self._place = _Place()
        as_text, block = False, _BLOCK_BYTES
        while True:
            try:
                yield from self._read(as_text, block)
                return
            except pa.ArrowInvalid as e:
                if "straddling" in str(e):
                    block *= _GROWTH
                elif as_text:
                    raise self._unreadable(str(e)) from e
                as_text = as_text or "straddling" not in str(e)
                if block > _LARGEST_BLOCK:
                    raise self._endless() from e

    def _read(self, as_text: bool, block: int) -> Iterator[tuple[Rows, Where]]:
        """From the place where reading stopped before."""
        invalid: deque[Any] = deque()
        with self._opened() as stream:
            first = stream.read(block)
            if not first:
                return
            stream.push_back(first)
            reader = self._reader(stream, invalid, as_text, block)
            number = 0
            for batch, last in batches_of(reader):
                unclosed = last and self._ends_in_a_quote(batch, stream)
                for part in parts_of(batch, number, invalid):
                    number = part.first + part.count
                    if number > self._place.records:
                        new = part.after(self._place.records)
                        yield self._rows(new, stream.saw_quote, as_text, unclosed)
            for row in invalid:
                if row.number > self._place.records:
                    yield self._rows(Part(first=row.number - 1, invalid=row), True, as_text, False)

    def _opened(self) -> TextStream:
        span = (self._span.start, self._span.end)
        stream = TextStream(
            self._file, self._options.encoding, quote=self._options.quote, span=span
        )
        if not self._span.start:
            read_header(stream, self._file, self._options)
        return stream

    def _reader(self, stream: TextStream, invalid: deque[Any], as_text: bool, block: int) -> Any:
        def keep(row: Any) -> str:
            invalid.append(row)
            return "skip"

        names = [str(place) for place in range(len(self._header.names))]
        types = {
            name: pa.binary()
            if as_text or place not in self._kinds
            else arrow_type(self._kinds[place])
            for place, name in enumerate(names)
        }
        return pacsv.open_csv(
            stream,
            # One thread: there is a process a core already, and rows are numbered.
            pacsv.ReadOptions(column_names=names, block_size=block, use_threads=False),
            pacsv.ParseOptions(
                delimiter=self._header.delimiter,
                quote_char=self._options.quote or False,
                double_quote=self._options.escape is None,
                escape_char=self._options.escape or False,
                newlines_in_values=self._options.quote is not None,
                ignore_empty_lines=False,  # so that they are counted
                invalid_row_handler=keep,
            ),
            pacsv.ConvertOptions(
                column_types=types,
                null_values=list(self._options.missing_texts),
                strings_can_be_null=False,
                decimal_point=self._options.decimal,
            ),
        )

    def _rows(self, part: Part, quoted: bool, as_text: bool, unclosed: bool) -> tuple[Rows, Where]:
        where = self._where(part, quoted)
        if part.invalid is not None:
            rows = Rows(1, {}, {0: _wrong_width(part.invalid, where(0))})
        else:
            rows = self._converted(part, where, as_text)
            if unclosed and part.last:
                rows.wrong[part.count - 1] = _unclosed(where(part.count - 1))
        self._place.records = part.first + part.count
        return rows, where

    def _where(self, part: Part, quoted: bool) -> Where:
        """Places of the rows; counts the line breaks within their values."""
        shown, row = self._file.shown, self._span.rows + part.first + 1
        line = self._line(part.first + 1)
        breaks = part.breaks() if quoted else None
        if breaks is None:
            return lambda index: f"{shown}, line {line + index} (row {row + index})"
        before = np.concatenate([[0], np.cumsum(breaks)])
        self._place.breaks += int(before[-1])
        return lambda index: f"{shown}, line {line + index + before[index]} (row {row + index})"

    def _line(self, record: int) -> int:
        before = self._span.lines if self._span.start else self._header.lines
        return before + self._place.breaks + record

    def _converted(self, part: Part, where: Where, as_text: bool) -> Rows:
        rows = Rows(part.count, {}, blank=blank_rows(part.batch))
        for place, kind in self._kinds.items():
            name, array = self._header.names[place], part.batch.column(place)
            if as_text:
                array = _decoded(array, name, rows, where)
            if as_text or kind == "datetime":
                texts = array
                array, bad = values_of(
                    texts, kind, missing=self._missing, decimal=self._options.decimal
                )
                for row in bad:
                    error = _unfit(where(row), name, kind, texts[row].as_py())
                    rows.wrong.setdefault(row, error)
            rows.arrays[name] = array
        return rows

    def _ends_in_a_quote(self, batch: Any, stream: TextStream) -> bool:
        """Whether the file ended within quotes: the last value then holds all the rest."""
        quote = (self._options.quote or "").encode()
        column = batch.column(batch.num_columns - 1)
        text = pa.types.is_binary(column.type) or pa.types.is_string(column.type)
        if not stream.saw_quote or not text or not batch.num_rows or self._span.end is not None:
            return False
        value = column[-1].cast(pa.binary()).as_py() or b""
        return stream.last != quote and (b"\n" in value or stream.tail.endswith(quote + value))

    def _endless(self) -> DataError:
        line, row = self._line(self._place.records + 1), self._span.rows + self._place.records + 1
        return DataError(
            f"{self._file.shown}: a row after line {line - 1} (row {row - 1}) does not end.",
            received=f"more than {_LARGEST_BLOCK // 10**6} MB",
            expected="rows of a few MB at most",
            fix="Look for a quote that is not closed there; without quotes, `csv: {quote: null}`.",
        )

    def _unreadable(self, said: str) -> DataError:
        line = self._line(self._place.records + 1)
        return DataError(
            f"{self._file.shown} can't be read from line {line} on.",
            received=said,
            fix="Check the file, its delimiter and its quotes.",
        )


def _decoded(array: Any, name: str, rows: Rows, where: Where) -> Any:
    """Bytes as text; those that are none are told."""
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:
        texts = array.to_pylist()
    for row, data in enumerate(texts):
        try:
            data.decode()
        except UnicodeDecodeError:
            rows.wrong.setdefault(row, not_utf8(f"{where(row)}, column {name!r}", data))
            texts[row] = data.decode(errors="replace").encode()
    return pa.array(texts, pa.binary()).cast(pa.string())


def _unfit(where: str, name: str, kind: Kind, text: str) -> DataError:
    meant = {"datetime": "date or time of ISO 8601", "bool": "truth value"}.get(kind, kind)
    return DataError(
        f"{where}: the value of the column {name!r} is no {meant}.",
        received=f"{text!r:.80}",
        expected="true, false, yes, no, 1 or 0"
        if kind == "bool"
        else f"a value of the type {kind}",
        fix=f"Correct it, give the column its type (`csv: {{types: {{{name}: string}}}}`), count it "
        "as missing (`csv.missing_texts`), or leave such rows out: `on_error: skip`.",
    )


def _wrong_width(row: Any, where: str) -> DataError:
    breaks = row.text.count("\n")
    over = f"; it runs over {breaks + 1} lines: a quote may not be closed" if breaks else ""
    return DataError(
        f"{where}: the row has {row.actual_columns} values for {row.expected_columns} columns.",
        received=f"{row.text!r:.80}{over}",
        expected=f"{row.expected_columns} values",
        fix="Correct the row, or leave such rows out: `on_error: skip`.",
    )


def _unclosed(where: str) -> DataError:
    return DataError(
        f"{where}: a quote is opened here and not closed up to the end of the file.",
        expected="a closing quote, and two for one that is meant",
        fix="Correct the row; without quotes in the file, `csv: {quote: null}`.",
    )
