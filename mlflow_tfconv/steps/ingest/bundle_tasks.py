"""Reading all bundles, as tasks: each once, unless an earlier run has read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mlflow_tfconv.data.inference import merged_shape
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.steps.ingest.progress import ReadingProgress
from mlflow_tfconv.steps.ingest.reading_job import (
    BundleRead,
    Features,
    ReadingJob,
    features_from_json,
    features_to_json,
)
from mlflow_tfconv.steps.ingest.skipped import Skipped
from mlflow_tfconv.steps.ingest.tasks import Task
from mlflow_tfconv.steps.ingest.work_folder import WorkFolder


class BundleTasks:
    """Hands out bundles in order.

    What the first example of all shows, every other example is held to, in whatever process it is
    read. So no second bundle is handed out until the first example was met.
    """

    def __init__(self, job: ReadingJob, work: WorkFolder, emit: Emit) -> None:
        self._job, self._work = job, work
        self._like: Features | None = None
        self._next = 0
        self._under_way: set[int] = set()
        self._reads: dict[int, BundleRead] = {}
        self._skipped = Skipped()
        self._progress = ReadingProgress([bundle.size_bytes for bundle in job.bundles], emit)

    @property
    def reads(self) -> tuple[BundleRead, ...]:
        """What is known of all bundles, in order, once all is finished."""
        return tuple(self._reads[index] for index in range(len(self._job.bundles)))

    def next(self) -> Task | None:
        """A bundle that is not done; None while the first example is being waited for."""
        while self._next < len(self._job.bundles):
            if self._like is None and self._under_way:
                return None
            index = self._next
            self._next += 1
            if not self._is_kept(index):
                self._under_way.add(index)
                like = None if self._like is None else features_to_json(self._like)
                return {"bundle": index, "like": like}
        return None

    def name(self, task: Task) -> str:
        """What is done, for a person."""
        return f"reading {self._job.bundles[task['bundle']].name}"

    def hear(self, task: Task, said: Mapping[str, Any]) -> None:
        """The first example, or how far it is."""
        if "first" in said and self._like is None:
            self._like = features_from_json(said["first"])
        if "progress" in said:
            self._progress.under_way(task["bundle"], *said["progress"])

    def done(self, task: Task) -> None:
        """A bundle was read."""
        index = task["bundle"]
        read = self._work.bundle(self._job.bundles[index])
        if read is None:
            raise AssertionError("a bundle that was just read is not there")
        self._under_way.remove(index)
        self._take(index, read)
        self._progress.done(index, sum(read.counts.values()))

    def end(self) -> Skipped:
        """What was left out of all bundles; tells that all was read."""
        self._progress.end()
        skipped = Skipped()
        for read in self.reads:
            skipped.merge(read.skipped)
        return skipped

    def _is_kept(self, index: int) -> bool:
        """Takes what an earlier run has read, if it would be read the same way now."""
        read = self._work.bundle(self._job.bundles[index])
        if read is None or read.like != self._like:
            return False
        if read.skipped.count and self._job.config.on_error == "fail":
            return False
        self._take(index, read)
        self._progress.kept(index, sum(read.counts.values()))
        return True

    def _take(self, index: int, read: BundleRead) -> None:
        self._reads[index] = read
        if self._like is None and read.first:
            self._like = read.first
        self._skipped.merge(read.skipped)
        self._skipped.check(self._job.config.max_errors)


def merged_features(reads: tuple[BundleRead, ...]) -> Features:
    """The features of all examples: a dimension that differs is None. Types agree already."""
    merged: dict[str, Any] = {}
    for read in reads:
        for name, spec in read.features.items():
            known = merged.setdefault(name, spec)
            if known.shape != spec.shape:
                shape = merged_shape(known.shape, spec.shape)
                merged[name] = dataclasses.replace(known, shape=shape)
    return merged
