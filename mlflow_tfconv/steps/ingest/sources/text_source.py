"""Lines of text files, or whole files, with the folder or the file as their class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.source_file import SourceFile
from mlflow_tfconv.steps.ingest.sources.file_groups import file_groups, in_mixed_order, piece_of
from mlflow_tfconv.steps.ingest.sources.folder_layout import PlacedFile, all_files, layout_of
from mlflow_tfconv.steps.ingest.sources.line_spans import SPAN_BYTES, Span, line_spans
from mlflow_tfconv.steps.ingest.sources.source import Found, FoundBatch, Piece
from mlflow_tfconv.steps.ingest.sources.text_lines import lines_of, whole_text
from mlflow_tfconv.steps.ingest.sources.text_options import TextOptions
from mlflow_tfconv.steps.ingest.sources.text_stream import TextStream

_SUFFIXES = tuple(
    f"{text}{packed}"
    for text in (".txt", ".text")
    for packed in ("", ".gz", ".bz2", ".xz", ".zst", ".lz4")
)

_MOST_LINES = 2**12
_MOST_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Text files; a piece is a file, a part of a long one, or some whose text is an example each.

    Attributes:
        options: How they are read.
        label: The label feature; None without classes.
        classes: The label's classes.
        key: Whether examples say the file they come from, as the feature of this name.
        storage_options: For URLs.
        splits: Those that folders name, if they name any.
        found: The pieces; they don't travel to the processes that read them.
    """

    options: TextOptions
    label: str | None
    classes: tuple[str, ...]
    key: str | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    splits: tuple[str, ...] = ()
    found: tuple[Piece, ...] = field(default=(), repr=False)

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> TextSource:
        """Lists the files.

        Raises:
            ConfigError: The label or the key is nothing that text has.
            DataError: There are no files, or no folders that say the classes.
        """
        options = config.text
        label_from = options.label_from or ("folder" if config.labels else "none")
        label = None if label_from == "none" else _label_of(config)
        _check_names(config, label)
        files = _text_files(all_files(config.locations, root, config.storage_options))
        layout = layout_of(files, (), ", ".join(config.locations))
        placed, classes = layout.placed, layout.classes
        if label_from == "file":
            placed = tuple(PlacedFile(p.file, _stem(p.file), p.split) for p in placed)
            classes = tuple(sorted({str(p.class_name) for p in placed}))
        if label and not classes:
            raise _no_classes(files)
        emit(Message(text=layout.told("files")))
        return cls(
            options=options,
            label=label,
            classes=classes if label else (),
            key=config.key if config.key not in (options.feature, label) else None,
            storage_options=config.storage_options,
            splits=layout.splits,
            found=tuple(_pieces(placed, classes if label else (), options)),
        )

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """The text, the label and the file."""
        found = {self.options.feature: FeatureSpec("string")}
        if self.key:
            found[self.key] = FeatureSpec("string")
        return found | ({self.label: FeatureSpec("int64")} if self.label else {})

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """The classes that folders or files name."""
        return {self.label: self.classes} if self.label else {}

    def pieces(self) -> tuple[Piece, ...]:
        """Files, parts or groups of them."""
        return self.found

    def examples(self, piece: Piece) -> Iterator[Found]:
        """Each line, or each file.

        Raises:
            DataError: A file of lines can't be read any further.
        """
        for batch in self.batches(piece):
            yield from batch

    def batches(self, piece: Piece) -> Iterator[FoundBatch]:
        """The same, many lines at once.

        Raises:
            DataError: A file of lines can't be read any further.
        """
        for shown, url, index, split in piece.arguments["files"]:
            file = SourceFile(
                name=shown, shown=shown, url_or_path=url, storage_options=self.storage_options
            )
            for found in _some(self._kept(file, piece.arguments.get("span"))):
                texts = [b"" if isinstance(text, DataError) else text for _, text in found]
                yield FoundBatch(
                    count=len(found),
                    columns=self._columns(texts, index, shown),
                    where=[where for where, _ in found].__getitem__,
                    errors={
                        place: text
                        for place, (_, text) in enumerate(found)
                        if isinstance(text, DataError)
                    },
                    split=split,
                )

    def _kept(
        self, file: SourceFile, span: Sequence[Any] | None
    ) -> Iterator[tuple[str, bytes | DataError]]:
        empty_too = not self.options.skip_empty
        for where, text in self._texts(file, span):
            if isinstance(text, DataError) or empty_too or text.strip():
                yield where, text

    def _texts(
        self, file: SourceFile, span: Sequence[Any] | None
    ) -> Iterator[tuple[str, bytes | DataError]]:
        if span is None:
            try:
                yield file.shown, whole_text(file, self.options)
            except DataError as e:
                yield file.shown, e
            return
        start, end, lines = span
        part = Span(start=start, end=end, lines=lines)
        for number, line in lines_of(file, self.options, part):
            yield f"{file.shown}, line {number}", line

    def _columns(
        self, texts: Sequence[bytes], index: int | None, shown: str
    ) -> dict[str, np.ndarray[Any, Any] | Sequence[Any]]:
        columns: dict[str, np.ndarray[Any, Any] | Sequence[Any]] = {self.options.feature: texts}
        if self.label:
            columns[self.label] = np.full(len(texts), index)
        if self.key:
            columns[self.key] = [shown] * len(texts)
        return columns

    def __getstate__(self) -> dict[str, Any]:
        """All but the pieces, which may be many."""
        return {**self.__dict__, "found": ()}


def _some(
    found: Iterator[tuple[str, bytes | DataError]],
) -> Iterator[list[tuple[str, bytes | DataError]]]:
    """In lists that take little memory; what comes before an error of reading is in one, too."""
    some: list[tuple[str, bytes | DataError]] = []
    size_bytes = 0
    try:
        for where, text in found:
            some.append((where, text))
            size_bytes += 0 if isinstance(text, DataError) else len(text)
            if len(some) == _MOST_LINES or size_bytes > _MOST_BYTES:
                yield some
                some, size_bytes = [], 0
    except DataError:
        yield some
        raise
    yield some


def _pieces(
    placed: Sequence[PlacedFile], classes: tuple[str, ...], options: TextOptions
) -> Iterator[Piece]:
    """Pieces whose arguments are what is shown, where it is, class and split of each file."""
    row = {
        p.file.url_or_path: [
            p.file.shown,
            p.file.url_or_path,
            classes.index(str(p.class_name)) if classes else None,
            p.split,
        ]
        for p in placed
    }
    files = in_mixed_order(p.file for p in placed) if classes else [p.file for p in placed]
    if options.unit == "file":
        for number, group in enumerate(file_groups(files), start=1):
            rows = [row[file.url_or_path] for file in group]
            yield piece_of(group, number, {"files": rows})
        return
    for file in files:
        for span in _spans(file, options):
            yield Piece(
                name=file.shown if span == Span() else f"{file.shown} from byte {span.start:,}",
                arguments={
                    "files": [row[file.url_or_path]],
                    "span": [span.start, span.end, span.lines],
                },
                identity=file.identity,
                size_bytes=file.size_bytes
                if span == Span()
                else (span.end or file.size_bytes or 0) - span.start,
            )


def _spans(file: SourceFile, options: TextOptions) -> tuple[Span, ...]:
    """A long file in parts, where it is here and not compressed."""
    if file.remote or (file.size_bytes or 0) < 2 * SPAN_BYTES:
        return (Span(),)
    with TextStream(file, options.encoding, quote=None) as stream:
        return line_spans(stream) if stream.plain else (Span(),)


def _text_files(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Those whose suffix says that they are text; all if none does."""
    return [file for file in files if file.name.lower().endswith(_SUFFIXES)] or list(files)


def _stem(file: SourceFile) -> str:
    return PurePosixPath(file.name).name.partition(".")[0]


def _label_of(config: IngestConfig) -> str:
    labels = config.labels or ("label",)
    if len(labels) > 1 or labels[0] == config.text.feature:
        raise ConfigError(
            "ingest.label does not fit files of text.",
            received=", ".join(labels),
            expected="one name for what the folders say, such as label",
            fix="Correct ingest.label; for texts with several labels use `csv`, or a generator.",
        )
    return labels[0]


def _check_names(config: IngestConfig, label: str | None) -> None:
    if config.labels and label is None:
        raise ConfigError(
            "ingest.label names a feature, but `text.label_from` says that there is none.",
            received=", ".join(config.labels),
            fix="Leave one of them out.",
        )
    if config.key not in (None, "path", config.text.feature):
        raise ConfigError(
            "ingest.key names no feature of files of text.",
            received=config.key,
            expected=f"path, {config.text.feature}, or nothing",
            fix="`key: path` keeps the lines of a file together; or leave it out.",
        )


def _no_classes(files: Sequence[SourceFile]) -> DataError:
    return DataError(
        "The recipe names a label, but the texts lie in no folders that could be their classes.",
        received=", ".join(file.shown for file in files[:5]),
        expected="a folder a class, such as pos/1.txt and neg/1.txt",
        fix="Set `text.label_from: file`, leave ingest.label out, or use `csv` for labels that "
        "stand in the files (a tab between them: `csv: {quote: null, header: false}`).",
    )
