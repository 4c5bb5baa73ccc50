"""Rows of CSV files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.locations import source_files
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.csv_header import Header
from mlflow_tfconv.steps.ingest.sources.csv_messages import tell_types, warn_of
from mlflow_tfconv.steps.ingest.sources.csv_options import CsvOptions
from mlflow_tfconv.steps.ingest.sources.csv_rows import CsvRows
from mlflow_tfconv.steps.ingest.sources.csv_sample import Sample, header_of, take_sample
from mlflow_tfconv.steps.ingest.sources.csv_spans import spans_of
from mlflow_tfconv.steps.ingest.sources.line_spans import Span
from mlflow_tfconv.steps.ingest.sources.source import Found, FoundBatch, Piece
from mlflow_tfconv.steps.ingest.sources.table_columns import Kind, TablePlan
from mlflow_tfconv.steps.ingest.sources.table_examples import batch_of
from mlflow_tfconv.steps.ingest.sources.table_plan import Asked, matching, said_of, table_plan

_KIND = "csv"
_TEXTS = (".csv", ".tsv", ".tab")
_COMPRESSED = ("", ".gz", ".bz2", ".xz", ".zst", ".lz4")
SUFFIXES = tuple(f"{text}{compressed}" for text in _TEXTS for compressed in _COMPRESSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSource:
    """CSV files, a piece each; large ones without quotes are several pieces.

    Attributes:
        files: The files, in order.
        options: How they are written.
        plan: What becomes of a row.
        names: All columns of the first file that have a name.
        closed: Whether a file with other columns than these is refused.
    """

    files: tuple[SourceFile, ...]
    options: CsvOptions
    plan: TablePlan
    names: tuple[str, ...]
    closed: bool

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> CsvSource:
        """Looks at a sample of the rows.

        Raises:
            ConfigError: An option names what is not there.
            DataError: There are no rows, or they can't be read.
        """
        options, asked = config.csv, Asked.of(config, config.csv)
        files = source_files(
            config.locations, root, suffixes=SUFFIXES, storage_options=config.storage_options
        )
        sample = take_sample(files, options)
        plan = table_plan(_kinds(sample, options, asked), asked)
        if not all(said_of(name, options.types) for name in plan.columns) and not config.features:
            tell_types(sample, plan, emit)
        warn_of(sample, plan, config.labels, emit)
        closed = options.columns is None and not config.features
        return cls(files=files, options=options, plan=plan, names=sample.names, closed=closed)

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """The features as the sample shows them, or as they were given."""
        return self.plan.features

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """The classes that were given."""
        specs = self.plan.features.items()
        return {name: spec.class_names for name, spec in specs if spec.class_names}

    def pieces(self) -> tuple[Piece, ...]:
        """The files in their order, long ones in parts."""
        return tuple(
            Piece(
                name=file.shown if span == Span() else f"{file.shown} from byte {span.start:,}",
                arguments={
                    "file": number,
                    "span": [span.start, span.end, span.lines, span.rows],
                },
                identity=file.identity,
                size_bytes=_size(file, span),
            )
            for number, file in enumerate(self.files)
            for span in spans_of(file, self.options)
        )

    def examples(self, piece: Piece) -> Iterator[Found]:
        """The rows of a file, or of a part of one.

        Raises:
            DataError: It has other columns, or can't be read any further.
        """
        for batch in self.batches(piece):
            yield from batch

    def batches(self, piece: Piece) -> Iterator[FoundBatch]:
        """The same, many at once.

        Raises:
            DataError: It has other columns, or can't be read any further.
        """
        file = self.files[piece.arguments["file"]]
        start, end, lines, rows = piece.arguments["span"]
        header = header_of(file, self.options)
        if header is None:
            return
        self._check(header, file)
        kinds = {name: column.kind for name, column in self.plan.columns.items()}
        span = Span(start=start, end=end, lines=lines, rows=rows)
        for rows, where in CsvRows(file, header, kinds, self.options, span=span):
            yield batch_of(rows, self.plan, where, _KIND)

    def _check(self, header: Header, file: SourceFile) -> None:
        """Columns may stand in another order in another file."""
        names = {name for name in header.names if name}
        missing = [name for name in self.plan.columns if name not in names]
        new = sorted(names - set(self.names)) if self.closed else []
        if missing or new:
            says = [f"lacks the column {name!r}" for name in missing[:1]]
            says += [f"has the column {name!r}, which others have not" for name in new[:1]]
            raise DataError(
                f"{file.shown} {' and '.join(says)}.",
                received=f"columns: {', '.join(header.names[:30])}",
                expected=f"columns of {self.files[0].shown}: {', '.join(self.names[:30])}",
                fix="Leave the file out, or choose columns that all files have: `csv.columns`.",
            )


def _kinds(sample: Sample, options: CsvOptions, asked: Asked) -> dict[str, Kind]:
    """What the columns are: as given, as seen; without those that show no value."""
    matching(options.types, sample.names, f"{_KIND}.types")
    matching([name for name in options.missing if name != "*"], sample.names, f"{_KIND}.missing")
    kinds: dict[str, Kind] = {}
    for name in sample.names:
        seen = sample.columns[name]
        # An integer that decides something stays one: where it is missing, that is an error.
        kind = seen.kind if name in asked.required else seen.best
        said = said_of(name, options.types)
        if said or kind or name in asked.features:
            kinds[name] = said or kind or "string"
    return kinds


def _size(file: SourceFile, span: Span) -> int | None:
    end = file.size_bytes if span.end is None else span.end
    return None if end is None else end - span.start
