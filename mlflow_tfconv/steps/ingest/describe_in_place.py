"""TFRecord files that stay where they are: read once, and described."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from mlflow_tfconv.data.manifest import Manifest, Shard
from mlflow_tfconv.data.splits import SPLITS
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.reading_job import BundleRead
from mlflow_tfconv.steps.ingest.shard_source import Ingested, described, read_source
from mlflow_tfconv.steps.ingest.sources.file_digests import noted_digests
from mlflow_tfconv.steps.ingest.sources.tfrecord_files import RecordFile
from mlflow_tfconv.steps.ingest.sources.tfrecord_source import TfrecordSource
from mlflow_tfconv.steps.ingest.work_folder import NAME


def describe_in_place(
    source: TfrecordSource, config: IngestConfig, root: Path, workdir: Path, emit: Emit
) -> Ingested:
    """The manifest of files that are there, each a shard of the split that its name says.

    Args:
        source: The files.
        config: How they are read.
        root: The recipe's folder.
        workdir: Gets notes on what was read.
        emit: Takes the progress.

    Raises:
        DataError: A file is damaged, or its records are unfit.
        StepCrashedError: A process that reads died.
    """
    notes = workdir / NAME
    noting = dataclasses.replace(source, notes=notes)
    read = read_source(noting, config, root, workdir, emit)
    splits: dict[str, list[Shard]] = {}
    for number, (file, one) in enumerate(zip(source.files, read.reads, strict=True)):
        if one.counts:
            splits.setdefault(str(file.split), []).append(_shard(file, one, notes, number))
    manifest = Manifest(
        schema=read.schema,
        splits={split: tuple(splits[split]) for split in SPLITS if split in splits},
        folder=workdir,
    )
    return described(manifest, read)


def _shard(file: RecordFile, read: BundleRead, notes: Path, number: int) -> Shard:
    path = Path(file.file.url_or_path).resolve()
    split = str(file.split)
    return Shard(
        path=str(path),
        count=read.counts[split],
        content=read.contents[split],
        compression="gzip" if file.compression == "gzip" else "",
        **noted_digests(notes, number, file.file.identity, path),
    )
