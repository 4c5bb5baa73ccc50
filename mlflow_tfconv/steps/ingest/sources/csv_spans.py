"""Large CSV files cut into parts that several processes read."""

from __future__ import annotations

from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.csv_header import read_header
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.line_spans import SPAN_BYTES, Span, line_spans
from mlflow_tfconv.steps.ingest.sources.text_stream import TextStream


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
        return line_spans(stream, header.lines, size) or (Span(),)
