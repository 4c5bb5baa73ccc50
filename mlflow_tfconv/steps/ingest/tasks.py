"""The two kinds of work that may be done in any process: reading a bundle, making a shard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.make_shard import ShardMaker
from mlflow_tfconv.steps.ingest.read_bundle import Say, read_bundle
from mlflow_tfconv.steps.ingest.reading_job import ReadingJob, features_from_json
from mlflow_tfconv.steps.ingest.work_folder import Assembly, WorkFolder

#: Plain values: `{"bundle": index, "like": features or None}` or `{"shard": index}`.
Task = Mapping[str, Any]


class Tasks(Protocol):
    """Work to be done, by however many workers."""

    def next(self) -> Task | None:
        """What to do next; None when nothing is left, or something under way has to say more."""

    def name(self, task: Task) -> str:
        """What a task does, for a person: "reading data/a.csv"."""

    def hear(self, task: Task, said: Mapping[str, Any]) -> None:
        """A task that is under way says something."""

    def done(self, task: Task) -> None:
        """A task has ended well; what it gave lies in the work folder."""


class Workbench:
    """Does tasks."""

    def __init__(self, job: ReadingJob, say: Say) -> None:
        self._job, self._say = job, say
        self._work = WorkFolder.of(job)

    def do(self, task: Task) -> None:
        """One task; what it gives is kept in the work folder."""
        if "bundle" in task:
            self._read(task["bundle"], task["like"])
        else:
            self._make(task["shard"])

    def _read(self, index: int, like: Mapping[str, Any] | None) -> None:
        bundle = self._job.bundles[index]
        features = None if like is None else features_from_json(like)
        read, statistics = read_bundle(self._job, bundle, features, self._say)
        self._work.keep_bundle(bundle, read, statistics)

    def _make(self, index: int) -> None:
        plan, maker, mark = self._assembly.plans[index], self._maker, self._assembly_mark
        if plan.whole:
            # Noted before it is renamed: there is always the one or the other to go on from.
            self._work.keep_shard(plan, maker.described(plan), mark)
            maker.rename(plan)
        else:
            mixed = self._assembly.segments[plan.split] if self._job.config.shuffle else ()
            self._work.keep_shard(plan, maker.make(plan, mixed), mark)

    @cached_property
    def _assembly(self) -> Assembly:
        found = self._work.assembly()
        if found is None:
            raise DataError(
                "What the shards are to be made of is gone.",
                received=f"no notes in {self._job.folder}",
                fix="Leave that folder alone while the data are written; run the command again.",
            )
        return found

    @cached_property
    def _assembly_mark(self) -> str:
        return self._assembly.mark

    @cached_property
    def _maker(self) -> ShardMaker:
        return ShardMaker(
            segments=self._job.folder,
            output=self._job.output,
            compression="gzip" if self._job.config.compression == "gzip" else "",
            row_bytes=self._assembly.row_bytes,
        )


def do_here(tasks: Tasks, job: ReadingJob) -> None:
    """Does all tasks in this process, one after the other."""
    current: Task = {}

    def say(said: dict[str, Any]) -> None:
        tasks.hear(current, said)

    bench = Workbench(job, say)
    while task := tasks.next():
        current = task
        bench.do(task)
        tasks.done(task)
