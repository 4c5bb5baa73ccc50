"""Which files hold TFRecords, how they are packed, and which split they say they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlflow_tfconv.data.compressed import Compression, Readable
from mlflow_tfconv.data.records import compression_at, frames_in
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.locations import source_files
from mlflow_tfconv.steps.ingest.source_file import SourceFile, reading
from mlflow_tfconv.steps.ingest.split_names import SPLIT_OF_WORD

# The suffix may stand in the middle ("mnist-train.tfrecord-00000-of-00010"), or be missing.
_NAME = re.compile(r"\.(tfrecords?|tfrec|tfr|tfrecs)(?![a-z])|-\d{4,6}-of-\d{4,6}(\.gz|\.zlib)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """A file of records.

    Attributes:
        file: Where it is.
        split: The split that its name or a folder says, or None.
        compression: How it is packed.
    """

    file: SourceFile
    split: str | None
    compression: Compression

    def frames(self, opened: Readable) -> Iterator[bytes | DataError]:
        """Its records, with an error in the place of each that is damaged.

        Args:
            opened: The file, at its beginning.

        Raises:
            DataError: The file can't be read.
        """
        with reading(self.file):
            yield from frames_in(opened, self.file.shown, self.compression, self.file.size_bytes)


def record_files(config: IngestConfig, root: Path) -> tuple[RecordFile, ...]:
    """The files at the locations.

    Of a folder, or of several files that a pattern fits, those are taken that have the name of
    TFRecords, or, when none has, that hold some.

    Raises:
        DataError: There are none.
    """
    files: dict[str, SourceFile] = {}
    for location in config.locations:
        found = source_files(location, root, storage_options=config.storage_options)
        for file in _holding_records(found):
            files.setdefault(file.url_or_path, file)
    return tuple(
        RecordFile(file=file, split=split_said_by(file.name), compression=_compression(file))
        for file in files.values()
    )


def split_said_by(name: str) -> str | None:
    """The split that a file's name, or else a folder on the way to it, says."""
    parts = reversed(PurePosixPath(name).parts)
    words = [word for part in parts for word in re.split(r"[^a-z]+", part.lower())]
    return next((SPLIT_OF_WORD[word] for word in words if word in SPLIT_OF_WORD), None)


def labels_beside(files: Iterable[RecordFile], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The classes that TFDS writes down beside its files: `label.labels.txt`, a name a line.

    Args:
        files: The files; remote ones are passed over.
        names: Features of integers.
    """
    folders = {Path(found.file.url_or_path).parent for found in files if not found.file.remote}
    found = {
        name: folder / f"{name.replace('/', '_')}.labels.txt"
        for folder in folders
        for name in names
    }
    return {
        name: tuple(file.read_text(encoding="utf-8").splitlines())
        for name, file in found.items()
        if file.is_file()
    }


def _holding_records(files: tuple[SourceFile, ...]) -> tuple[SourceFile, ...]:
    if len(files) == 1:
        return files
    named = tuple(file for file in files if _NAME.search(file.name.lower()))
    return named or tuple(file for file in files if _begins_with_record(file)) or files


def _begins_with_record(file: SourceFile) -> bool:
    found = RecordFile(file=file, split=None, compression=_compression(file))
    with closing(file.open()) as opened:
        return isinstance(next(found.frames(opened), None), bytes)


def _compression(file: SourceFile) -> Compression:
    with closing(file.open()) as opened, reading(file):
        return compression_at(opened)
