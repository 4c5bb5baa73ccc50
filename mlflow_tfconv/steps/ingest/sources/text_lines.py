"""The lines of a file of text, or all of it, as checked UTF-8."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.csv_header import not_utf8
from mlflow_tfconv.steps.ingest.sources.line_spans import Span
from mlflow_tfconv.steps.ingest.sources.text_options import TextOptions
from mlflow_tfconv.steps.ingest.sources.text_stream import TextStream

_CHUNK_BYTES = 2**20


def lines_of(
    file: SourceFile, options: TextOptions, span: Span = Span()
) -> Iterator[tuple[int, bytes | DataError]]:
    """Each line with its number, from 1, without what ends it; or why it is no text.

    Raises:
        DataError: The file can't be read any further.
    """
    number, rest = span.lines, bytearray()
    with _stream(file, options, span) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            *whole, last = chunk.split(b"\n")
            for line in whole:
                number += 1
                if rest:
                    line, rest = bytes(rest) + line, bytearray()
                yield number, _checked(line.removesuffix(b"\r"), file, number, options)
            if len(rest) <= options.max_bytes:  # what is too long already need not be kept
                rest += last
    if rest:
        yield number + 1, _checked(bytes(rest).removesuffix(b"\r"), file, number + 1, options)


def whole_text(file: SourceFile, options: TextOptions) -> bytes:
    """All of a file.

    Raises:
        DataError: It is too long, is no text, or can't be read.
    """
    text = bytearray()
    with _stream(file, options) as stream:
        while len(text) <= options.max_bytes and (chunk := stream.read(_CHUNK_BYTES)):
            text += chunk
    checked = _checked(bytes(text), file, None, options)
    if isinstance(checked, DataError):
        raise checked
    return checked


def _stream(file: SourceFile, options: TextOptions, span: Span = Span()) -> TextStream:
    return TextStream(file, options.encoding, quote=None, span=(span.start, span.end))


def _checked(
    text: bytes, file: SourceFile, line: int | None, options: TextOptions
) -> bytes | DataError:
    where = file.shown if line is None else f"{file.shown}, line {line}"
    if len(text) > options.max_bytes:
        return DataError(
            f"{where}: the text is too long.",
            received=f"more than {options.max_bytes:,} bytes",
            expected="a text that fits an example; is it a file of lines at all?",
            fix="Raise `text.max_bytes`, or leave such texts out: `on_error: skip`.",
        )
    try:
        text.decode()
    except UnicodeDecodeError as e:
        bad = where if line is not None else f"{where}, line {text.count(10, 0, e.start) + 1}"
        return not_utf8(bad, text[max(0, e.start - 20) : e.start + 20])
    return text
