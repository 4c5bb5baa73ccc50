"""Long files of lines in parts that several processes read."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_tfconv.steps.ingest.sources.text_stream import TextStream

#: Parts are about as long as this; the same on every machine, so that the shards are too.
SPAN_BYTES = 2**26
_CHUNK_BYTES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of a file of lines that begins and ends between rows.

    Attributes:
        start: The first byte.
        end: The byte after the last; None is the end of the file.
        lines: Lines before it; 0 at the start of the file.
        rows: Rows before it.
    """

    start: int = 0
    end: int | None = None
    lines: int = 0
    rows: int = 0


def line_spans(stream: TextStream, lines: int = 0, size: int = SPAN_BYTES) -> tuple[Span, ...]:
    """The rest of a stream in spans of whole lines; none when a line may not be a row.

    That is where a quote character comes by, if the stream looks for one, or where lines end in
    another way than by a line feed.

    Args:
        stream: Of plain bytes, at the first row.
        lines: Lines before it.
        size: About how long a span is, in bytes.
    """
    first_lines, starts = lines, [Span()]
    at = stream.position
    while chunk := stream.read(_CHUNK_BYTES):
        if stream.saw_quote or (b"\r" in chunk and b"\n" not in chunk):
            return ()
        while (wanted := starts[-1].start + size) < at + len(chunk):
            end = chunk.find(b"\n", max(0, wanted - at)) + 1
            if not end:
                break
            before = lines + chunk.count(b"\n", 0, end)
            starts.append(Span(start=at + end, lines=before, rows=before - first_lines))
        lines += chunk.count(b"\n")
        at += len(chunk)
    if starts[-1].start >= at:
        starts.pop()
    ends = [span.start for span in starts[1:]]
    return tuple(
        Span(start=span.start, end=end, lines=span.lines, rows=span.rows)
        for span, end in zip(starts, [*ends, None], strict=True)
    )
