"""Existing TFRecord files of tf.train.Example or tf.train.SequenceExample."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.file_digests import DigestedFile, note_digests
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.source import Found, Piece
from mlflow_tfconv.steps.ingest.sources.tfrecord_anew import WrittenAnew
from mlflow_tfconv.steps.ingest.sources.tfrecord_files import (
    RecordFile,
    labels_beside,
    record_files,
)
from mlflow_tfconv.steps.ingest.sources.tfrecord_inference import inferred_features
from mlflow_tfconv.steps.ingest.sources.tfrecord_sample import RecordSample, sample_of, where_of
from mlflow_tfconv.steps.ingest.sources.tfrecord_told import tell_features
from mlflow_tfconv.steps.ingest.sources.tfrecord_values import RecordReader


@dataclass(frozen=True, slots=True, kw_only=True)
class TfrecordSource:
    """TFRecord files, a piece each.

    Attributes:
        files: The files, in order.
        stored: What their records hold.
        class_names: Label to its classes, where they were given.
        anew: How the values are written; None keeps the records as they are.
        in_place: Whether the files stay where they are.
        notes: The folder that gets checksums of the files when they are read; None without.
    """

    files: tuple[RecordFile, ...]
    stored: Mapping[str, FeatureSpec]
    class_names: Mapping[str, tuple[str, ...]]
    anew: WrittenAnew | None = None
    in_place: bool = False
    notes: Path | None = None

    @classmethod
    def open(cls, config: IngestConfig, root: Path, emit: Emit) -> TfrecordSource:
        """Looks at a sample of the records.

        Raises:
            ConfigError: An option names what is not there.
            DataError: There are no records, they are no examples, or a file is damaged.
        """
        files = record_files(config, root)
        _check_splits(files)
        sample = sample_of(files, config.tfrecord, skip=config.on_error == "skip")
        if not sample.features:
            raise _no_records(files, sample)
        features = _with_classes(inferred_features(sample, config), files)
        tell_features(features, sample, given=bool(config.features), emit=emit)
        _tell_empty(files, emit)
        anew = _written_anew(config)
        if anew is not None:
            anew.check(features, config)
        return cls(
            files=files,
            stored=features,
            class_names={n: s.class_names for n, s in features.items() if s.class_names},
            anew=anew,
            in_place=_stays(files, config, emit),
        )

    @property
    def features(self) -> Mapping[str, FeatureSpec]:
        """What the shards will hold."""
        return self.stored if self.anew is None else self.anew.features(self.stored)

    def pieces(self) -> tuple[Piece, ...]:
        """The files in their order."""
        return tuple(
            Piece(
                name=found.file.shown,
                arguments={"file": number},
                identity=found.file.identity,
                size_bytes=found.file.size_bytes,
            )
            for number, found in enumerate(self.files)
        )

    def examples(self, piece: Piece) -> Iterator[Found]:
        """The records of a file; one that is damaged or does not fit is an error in its place.

        Raises:
            DataError: The file can't be read.
        """
        file = self.files[piece.arguments["file"]]
        reader = RecordReader(self.stored)
        with closing(file.file.open()) as opened:
            digested = None if self.notes is None else DigestedFile(opened)
            for number, record in enumerate(file.frames(digested or opened)):
                yield self._found(reader, file, number, record)
        if self.notes is not None and digested is not None:
            note_digests(self.notes, piece.arguments["file"], piece.identity, digested.digests)

    def _found(
        self, reader: RecordReader, file: RecordFile, number: int, record: bytes | DataError
    ) -> Found:
        where = where_of(file, number)
        if isinstance(record, DataError):
            return Found(where, record)
        try:
            values = reader.values(record, where)
            arrays = values.arrays
            if self.anew is not None:
                arrays = self.anew.arrays(arrays, self.stored, where)
        except DataError as error:
            return Found(where, error)
        return Found(
            where,
            arrays,
            split=file.split,
            original_shapes=values.image_shapes,
            record=record if self.anew is None else None,
        )


def _written_anew(config: IngestConfig) -> WrittenAnew | None:
    """Whether values are written instead of records: in blocks, and when images are to be pixels."""
    asked = config.image != ImageOptions()
    if config.layout != "block" and not (asked and config.image.store == "pixels"):
        return None
    return WrittenAnew(image=config.image, channels=config.image.channels if asked else None)


def _with_classes(
    features: Mapping[str, FeatureSpec], files: tuple[RecordFile, ...]
) -> dict[str, FeatureSpec]:
    """Features with the classes that stand beside the files, where the recipe gives none."""
    integers = [
        name for name, spec in features.items() if spec.dtype == "int64" and not spec.class_names
    ]
    beside = labels_beside(files, integers)
    return {
        name: dataclasses.replace(spec, class_names=beside.get(name) or spec.class_names)
        for name, spec in features.items()
    }


def _check_splits(files: tuple[RecordFile, ...]) -> None:
    unclear = [found.file.shown for found in files if found.split is None]
    if unclear and len(unclear) < len(files):
        raise DataError(
            "Some TFRecord files say which split they are, others don't.",
            received=f"without a split: {', '.join(unclear[:5])}",
            expected="train, validation or test in every file's name or folder, or in none",
            fix="Rename these files, or narrow ingest.location.",
        )


def _stays(files: tuple[RecordFile, ...], config: IngestConfig, emit: Emit) -> bool:
    """Whether the files can stay where they are; tells why not."""
    if any(found.split is None for found in files) or not config.tfrecord.in_place:
        return False
    reasons = {
        "they are not on this machine": any(found.file.remote for found in files),
        "zlib files are packed anew": any(found.compression == "zlib" for found in files),
        f"`layout: {config.layout}`": config.layout != "example",
        "`image` asks for pixels": _written_anew(config) is not None,
        f"`compression: {config.compression}`": config.compression != "none",
        "`shuffle: true`": config.shuffle,
        "`on_error: skip` may leave some out": config.on_error == "skip",
    }
    why = [reason for reason, holds in reasons.items() if holds]
    if why:
        text = f"The records are written into new shards of the same splits: {'; '.join(why)}."
        emit(Message(text=text))
    return not why


def _tell_empty(files: tuple[RecordFile, ...], emit: Emit) -> None:
    empty = [found.file.shown for found in files if found.file.size_bytes == 0]
    if empty:
        more = f" and {len(empty) - 5:,} more" if len(empty) > 5 else ""
        text = f"Files of 0 bytes, without records: {', '.join(empty[:5])}{more}."
        emit(Message(text=text, level="warning"))


def _no_records(files: tuple[RecordFile, ...], sample: RecordSample) -> DataError:
    names = ", ".join(found.file.shown for found in files[:5])
    problem = "" if sample.problem is None else f"; {sample.problem.what}"
    return DataError(
        "The TFRecord files hold no records that can be used.",
        received=f"{sample.records:,} records with features in {len(files):,} files: "
        f"{names}{problem}",
        fix="Check ingest.location.",
    )
