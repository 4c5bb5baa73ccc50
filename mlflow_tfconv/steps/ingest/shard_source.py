"""A source read piece by piece, and written into shards."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.data.inference import schema_of
from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.rows import row_bytes
from mlflow_tfconv.data.schema import Schema
from mlflow_tfconv.data.shards import Disk
from mlflow_tfconv.data.splits import SPLITS
from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.bundle_tasks import BundleTasks, merged_features
from mlflow_tfconv.steps.ingest.bundles import bundles_of, size_of
from mlflow_tfconv.steps.ingest.class_names import ClassNames
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.read_bundle import row_features
from mlflow_tfconv.steps.ingest.reading_job import BundleRead, ReadingJob, features_to_json
from mlflow_tfconv.steps.ingest.shard_plan import Cutting
from mlflow_tfconv.steps.ingest.shard_tasks import ShardTasks
from mlflow_tfconv.steps.ingest.skipped import Skipped
from mlflow_tfconv.steps.ingest.sources.source import Source
from mlflow_tfconv.steps.ingest.statistics import Statistics
from mlflow_tfconv.steps.ingest.tasks import Tasks, do_here
from mlflow_tfconv.steps.ingest.work_folder import NAME, Assembly, WorkFolder
from mlflow_tfconv.steps.ingest.writer_number import writers_for
from mlflow_tfconv.steps.ingest.writer_processes import WriterProcesses

#: What decides how a work folder's content came about.
_INPUTS = (
    *("using", "location", "label", "key", "split_ratios", "shard_mb", "params", "features"),
    *("compression", "layout", "shuffle", "seed"),
    *("csv", "parquet", "text", "image", "npy", "video", "tfrecord"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRead:
    """What a source was found to be.

    Attributes:
        schema: Of all examples.
        statistics: Of all examples.
        skipped: What was left out.
        reads: What is known of each bundle, in order.
    """

    schema: Schema
    statistics: Statistics
    skipped: Skipped
    reads: tuple[BundleRead, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """A dataset that was written.

    Attributes:
        manifest: The dataset.
        statistics: Of its examples.
        skipped: What was left out.
        work: The folder that is needed no longer; until it is removed the same command would take
            all from it.
        splits: Those that the source names by itself.
    """

    manifest: Manifest
    statistics: Statistics
    skipped: Skipped
    work: WorkFolder
    splits: tuple[str, ...] = ()

    def clean(self) -> None:
        """Removes what only an unfinished ingest needs."""
        shards = (shard.path for found in self.manifest.splits.values() for shard in found)
        self.work.remove(set(shards))


def shard_source(
    source: Source, config: IngestConfig, root: Path, workdir: Path, emit: Emit
) -> Ingested:
    """Writes all examples of a source into shards; goes on where an earlier run was killed.

    Args:
        source: What is read.
        config: How.
        root: The recipe's folder.
        workdir: Gets the shards.
        emit: Takes the progress.

    Raises:
        DataError: There are no examples, one is unfit, or the disk is full.
        StepCrashedError: A writer process died.
    """
    job = _job(source, config, root, workdir)
    work = _work_folder(job)
    with WriterProcesses(job) as processes:
        read = _read(job, work, processes, emit)
        assembly = _assembly(job, work, read)
        shards = ShardTasks(work, assembly, emit)
        size_bytes = sum(s.size_bytes for found in assembly.segments.values() for s in found)
        number = writers_for(config, len(assembly.plans), size_bytes)
        _do(shards, job, processes, number)
    manifest = Manifest(schema=read.schema, splits=shards.shards, folder=workdir)
    return Ingested(manifest=manifest, statistics=read.statistics, skipped=read.skipped, work=work)


def read_source(
    source: Source, config: IngestConfig, root: Path, workdir: Path, emit: Emit
) -> SourceRead:
    """Reads all examples of a source and writes none: for data that stay where they are.

    Each piece becomes one bundle. What was read by a run that was
    killed is kept in the work folder, which the caller removes (`work_folder.NAME`).

    Raises:
        DataError: There are no examples, or one is unfit.
        StepCrashedError: A writer process died.
    """
    bundles = bundles_of(source.pieces(), apart=True)
    job = dataclasses.replace(_job(source, config, root, workdir), write=False, bundles=bundles)
    with WriterProcesses(job) as processes:
        return _read(job, _work_folder(job), processes, emit)


def described(manifest: Manifest, read: SourceRead) -> Ingested:
    """Data that were there already, as if they had been written."""
    work = WorkFolder(path=manifest.folder / NAME, output=manifest.folder)
    return Ingested(manifest=manifest, statistics=read.statistics, skipped=read.skipped, work=work)


def _job(
    source: Source, config: IngestConfig, root: Path, workdir: Path, *, write: bool = True
) -> ReadingJob:
    pieces = source.pieces()
    return ReadingJob(
        source=source,
        config=config,
        root=root,
        bundles=bundles_of(pieces, apart=not write),
        folder=workdir / NAME,
        output=workdir,
        write=write,
        needed_bytes=size_of(pieces),
    )


def _work_folder(job: ReadingJob) -> WorkFolder:
    work = WorkFolder.of(job)
    config = dataclasses.asdict(job.config)
    known = {
        "config": {name: config[name] for name in _INPUTS},
        "features": features_to_json(job.source.features),
        "class_names": {name: list(names) for name, names in job.source.class_names.items()},
        "write": job.write,
    }
    work.open(known)
    begun = work.assembly()
    if begun is not None and begun.bundles == _marks(job):
        return dataclasses.replace(work, assembling=True)
    if begun is not None:
        work.drop_assembly()  # what its segments are left of tells which pieces to read again
    return work


def _marks(job: ReadingJob) -> tuple[tuple[str, str], ...]:
    return tuple((bundle.key, bundle.identity) for bundle in job.bundles)


def _read(job: ReadingJob, work: WorkFolder, processes: WriterProcesses, emit: Emit) -> SourceRead:
    _warn_of_little_room(job, emit)
    tasks = BundleTasks(job, work, emit)
    _do(tasks, job, processes, writers_for(job.config, len(job.bundles), job.needed_bytes))
    skipped = tasks.end()
    features = merged_features(tasks.reads)
    if not features:
        raise _no_examples(job, skipped)
    statistics = Statistics(job.config.labels)
    for bundle in job.bundles:
        statistics.merge(work.statistics(bundle))
    classes = ClassNames(job.source.class_names)
    if job.config.layout == "block":
        features = row_features(features, classes)
    schema = schema_of(features, job.config.labels, job.config.key, classes.of_labels(statistics))
    sequences = any(spec.sequence for spec in features.values())
    layout = "sequence_example" if sequences else job.config.layout
    return SourceRead(
        schema=dataclasses.replace(schema, layout=layout),
        statistics=statistics,
        skipped=skipped,
        reads=tasks.reads,
    )


def _assembly(job: ReadingJob, work: WorkFolder, read: SourceRead) -> Assembly:
    """How the shards are made: as an earlier run has begun, if the data are still the same."""
    block = read.schema.layout == "block"
    cutting = Cutting(
        shard_bytes=job.shard_bytes,
        shuffled=job.config.shuffle,
        as_they_are=not block and not job.config.shuffle,
        compression="gzip" if job.config.compression == "gzip" else "",
    )
    segments = {
        split: tuple(segment for one in read.reads for segment in one.segments[split])
        for split in SPLITS
    }
    assembly = Assembly(
        plans=tuple(plan for split in SPLITS for plan in cutting.plans(split, segments[split])),
        segments=segments,
        row_bytes=row_bytes(read.schema) if block else None,
        bundles=_marks(job),
    )
    work.keep_assembly(assembly)
    return assembly


def _do(tasks: Tasks, job: ReadingJob, processes: WriterProcesses, number: int) -> None:
    if number > 1:
        processes.do(tasks, number)
    else:
        do_here(tasks, job)


def _warn_of_little_room(job: ReadingJob, emit: Emit) -> None:
    needed, free = job.needed_bytes, Disk(job.output).free_bytes
    if job.write and needed is not None and free < needed:
        emit(
            Message(
                text=f"The data take about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are "
                f"free in {job.output}.",
                level="warning",
            )
        )


def _no_examples(job: ReadingJob, skipped: Skipped) -> DataError:
    what = {"custom": "load_examples in steps/ingest.py"}.get(
        job.config.using, f"ingest.location ({', '.join(job.config.locations)})"
    )
    if not skipped.count:
        return DataError(f"{what} yields no examples.", fix="Check what it reads.")
    listed = "\n".join(f"    {text}" for text in skipped.texts[:10])
    return DataError(
        f"{what} yields no examples that can be used.",
        received=f"{skipped.count:,} that can't:\n{listed}",
        fix="Mend the data, or what the recipe says of them.",
    )
