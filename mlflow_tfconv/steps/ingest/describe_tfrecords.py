"""Existing TFRecord files of tf.train.Example: read once, described, split where they are not."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from mlflow_tfconv.data.inference import Arrays, SchemaInference
from mlflow_tfconv.data.manifest import Manifest, Shard, content_of, file_sha256, record_digest
from mlflow_tfconv.data.records import read_records
from mlflow_tfconv.data.schema import Schema
from mlflow_tfconv.data.shards import split_writers
from mlflow_tfconv.data.splits import SPLITS, identity_of, split_of
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.class_names import ClassNames
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.foreign_examples import ForeignExamples
from mlflow_tfconv.steps.ingest.locations import tfrecord_files
from mlflow_tfconv.steps.ingest.progress import counted
from mlflow_tfconv.steps.ingest.statistics import Statistics

_SPLIT_OF_WORD = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}

Splits = dict[str, tuple[Shard, ...]]


def describe_tfrecords(
    config: IngestConfig, root: Path, workdir: Path, emit: Emit
) -> tuple[Manifest, Statistics]:
    """The manifest of files that are there.

    Files whose name, or folder below the location, says train, validation or test are left where
    they are. When none says so, their records are split by hash into new shards, unchanged.

    Raises:
        DataError: There are no files, one is damaged, or their records are unfit.
    """
    files = tfrecord_files(str(config.location), root)
    reader = _Reader(config, emit)
    named = {file: split_of_file(file, root / str(config.location)) for file in files}
    if any(named.values()):
        splits = _in_place(reader, named)
    else:
        splits = _split_anew(reader, files, workdir, config)
    return Manifest(schema=reader.schema(), splits=splits, folder=workdir), reader.statistics


def split_of_file(file: Path, location: Path) -> str | None:
    """The split that a file's name, or a folder between it and the location, says."""
    below = file.relative_to(location.resolve()) if location.is_dir() else Path(file.name)
    words = [word for part in reversed(below.parts) for word in re.split(r"[^a-z]+", part.lower())]
    return next((_SPLIT_OF_WORD[word] for word in words if word in _SPLIT_OF_WORD), None)


class _Reader:
    """Reads files and learns from all their records together."""

    def __init__(self, config: IngestConfig, emit: Emit) -> None:
        self.statistics = Statistics(config.labels)
        self._inference = SchemaInference(config.labels, config.key)
        self._examples = ForeignExamples(config.features)
        self._classes = ClassNames(
            {
                name: given.class_names
                for name, given in config.features.items()
                if given.class_names
            }
        )
        self._emit = emit

    def read(self, file: Path) -> Iterator[tuple[bytes, Arrays]]:
        """Each record with its arrays, checked."""
        for number, record in enumerate(counted(read_records(file), self._emit, file.name)):
            where = f"{file}, record {number} (from 0)"
            arrays = self._inference.check(self._examples.arrays(record, where), where)
            self._classes.check(arrays, where)
            yield record, arrays

    def schema(self) -> Schema:
        """The schema of all that was read."""
        if not self._inference.features:
            raise DataError("The TFRecord files hold no records.", fix="Check ingest.location.")
        schema = self._inference.schema(self._classes.of_labels(self.statistics))
        stored = {n: self._examples.spec(n, seen) for n, seen in schema.features.items()}
        return dataclasses.replace(schema, features=stored)


def _in_place(reader: _Reader, named: dict[Path, str | None]) -> Splits:
    unclear = [str(file) for file, split in named.items() if split is None]
    if unclear:
        raise DataError(
            "Some TFRecord files say which split they are, others don't.",
            received=f"without a split: {', '.join(unclear[:5])}",
            expected="train, validation or test in every file's name or folder, or in none",
            fix="Rename these files, or narrow ingest.location.",
        )
    splits: dict[str, list[Shard]] = defaultdict(list)
    for file, split in named.items():
        splits[str(split)].append(_described(reader, file, str(split)))
    return {split: tuple(splits[split]) for split in SPLITS if split in splits}


def _described(reader: _Reader, file: Path, split: str) -> Shard:
    count = content = 0
    for record, arrays in reader.read(file):
        reader.statistics.add(split, arrays, record_digest(record))
        count += 1
        content += record_digest(record)
    return Shard(
        path=str(file),
        count=count,
        size_bytes=file.stat().st_size,
        sha256=file_sha256(file),
        content=content_of(content),
    )


def _split_anew(
    reader: _Reader, files: tuple[Path, ...], workdir: Path, config: IngestConfig
) -> Splits:
    with split_writers(workdir, SPLITS, round(config.shard_mb * 1e6)) as writers:
        for file in files:
            for record, arrays in reader.read(file):
                identity = identity_of(arrays[config.key]) if config.key else record
                split = split_of(identity, config.split_ratios)
                writers[split].write(record)
                reader.statistics.add(split, arrays, record_digest(record))
    return {split: writer.shards for split, writer in writers.items()}
