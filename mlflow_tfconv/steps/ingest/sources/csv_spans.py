"""Large CSV files cut into parts that several processes read."""

from __future__ import annotations

from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.csv_header import read_header
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.csv_rows import Span
from mlflow_tfconv.steps.ingest.sources.csv_stream import TextStream

#: Parts are about as long as this; the same on every machine, so that the shards are too.
SPAN_BYTES = 2**26
_CHUNK_BYTES = 2**22


def spans_of(file: SourceFile, options: CsvOptions, size: int = SPAN_BYTES) -> tuple[Span, ...]:
    """The parts of a file; itself whole where a cut could be wrong.

    A line break is the end of a row for sure only where no quote is in the whole file, so it is
    looked for, which takes a second for a few GB. Compressed files can't be entered in the middle.
    Files elsewhere would be read over the network twice.

    Args:
        file: The file.
        options: How it is written.
        size: About how long a part is, in bytes.
    """
    if file.remote or options.escape or (file.size_bytes or 0) < 2 * size:
        return (Span(),)
    with TextStream(file, options.encoding, quote=options.quote) as stream:
        header = read_header(stream, file, options)
        if header is None or not stream.plain:
            return (Span(),)
        return _cut(stream, header.lines, size) or (Span(),)


def _cut(stream: TextStream, lines: int, size: int) -> tuple[Span, ...]:
    """Spans that begin at the first line after each multiple of the size."""
    first_lines, starts = lines, [Span()]
    at = stream.position
    while chunk := stream.read(_CHUNK_BYTES):
        if stream.saw_quote or (b"\r" in chunk and b"\n" not in chunk):
            return ()
        if at + len(chunk) >= starts[-1].start + size:
            found = chunk.find(b"\n", max(0, starts[-1].start + size - at))
            if found >= 0:
                before = lines + chunk.count(b"\n", 0, found + 1)
                starts.append(Span(start=at + found + 1, lines=before, rows=before - first_lines))
        lines += chunk.count(b"\n")
        at += len(chunk)
    if starts[-1].start >= at:
        starts.pop()
    ends = [span.start for span in starts[1:]]
    return tuple(
        Span(start=span.start, end=end, lines=span.lines, rows=span.rows)
        for span, end in zip(starts, [*ends, None], strict=True)
    )
